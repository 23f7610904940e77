"""One index for other programs: `rag serve` over HTTP, `rag mcp` for agents. `rag` itself never imports it."""
