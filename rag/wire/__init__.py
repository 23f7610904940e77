"""Chat protocols of single vendors, each a LlamaIndex `LLM`. OpenAI's, which most servers speak, is in `rag.models`."""
