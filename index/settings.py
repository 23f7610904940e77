"""What shapes an index: how text is cut, which embedder reads it, what is too large to read. Not how it is searched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """Settings of the index; each default carries its reason."""

    embedder: str = "minilm"
    """`minilm` (all-MiniLM-L6-v2, shipped with the package), or any sentence-transformers name or folder."""

    chunk_tokens: int = 112
    """Largest chunk, in tokens of the embedder. Short spans find more gold per token of context than long ones
    (benchmarks/RESULTS.md); the context line (title, heading) is embedded on top of it and the sum fits the window."""

    max_file_mb: int = 100
    """Larger files are reported, not read: one runaway log should not stall a sync."""

    chroma_url: str | None = None
    """`http://host:port` of a Chroma server; without it Chroma lives in a folder of the index."""
