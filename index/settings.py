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

    read_seconds: float = 120.0
    """What takes longer to read is broken or hostile: a PDF of 400 pages takes about 3 seconds."""

    pdf_password: str | None = None
    """Opens encrypted PDFs; the environment variable RAG_PDF_PASSWORD keeps it out of files."""

    web_seconds: float = 30.0
    """For one web page, all in: slow servers answer in 10, and a dead one should not stall a sync."""

    web_pages: int = 500
    """Most pages taken from one sitemap: enough for a manual, not a mirror of a site."""

    web_private: bool = False
    """Whether pages on private addresses (this machine, the local network) may be read; off, so that a link in a public
    sitemap cannot make this machine read an intranet."""

    chroma_url: str | None = None
    """`http://host:port` of a Chroma server; without it Chroma lives in a folder of the index."""
