"""Readers: the bytes of a file of one kind to text, pages, title and metadata. Not where files are or how text is cut.

A reader is `read(data, options) -> Extract`. What has structure comes out as Markdown: headings behind #, list items
behind a dash, table rows between bars with the header row first, so that one rule for structure serves every kind.
Nothing here is imported before a file of its kind is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import PurePath

Meta = Mapping[str, str | int | float | bool | list[str]]


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader gets out of a file: text, half-open span of each page (if it has pages), title, flat metadata.

    Metadata that many kinds have goes by these names: `author`, `date` (ISO 8601, as precise as known), `language`.
    """

    text: str
    pages: tuple[tuple[int, int], ...] = ()
    title: str = ""
    meta: Meta = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What readers may need to know from the settings."""

    password: str | None = None
    """Opens encrypted files."""


Reader = Callable[[bytes, ReadOptions], Extract]

CODE: Mapping[str, str] = {
    "python": ".py .pyi",
    "javascript": ".js .mjs .cjs .jsx",
    "typescript": ".ts .tsx",
    "java": ".java",
    "kotlin": ".kt .kts",
    "scala": ".scala",
    "c": ".c .h",
    "c++": ".cc .cpp .cxx .hpp .hh",
    "c#": ".cs",
    "go": ".go",
    "rust": ".rs",
    "swift": ".swift",
    "php": ".php",
    "ruby": ".rb",
    "shell": ".sh .bash",
    "powershell": ".ps1",
    "sql": ".sql",
    "r": ".r",
    "julia": ".jl",
    "lua": ".lua",
    "perl": ".pl .pm",
    "toml": ".toml",
    "yaml": ".yaml .yml",
    "ini": ".ini .cfg",
    "latex": ".tex",
}
"""Language to the endings of its files. Style sheets and data (.css .xml .json) answer no question."""

READERS: Mapping[str, str] = {
    ".txt": "text:read_text",
    ".text": "text:read_text",
    ".md": "text:read_text",
    ".markdown": "text:read_text",
    ".rst": "text:read_text",
    ".html": "html:read_html",
    ".htm": "html:read_html",
    ".xhtml": "html:read_html",
    ".epub": "epub:read_epub",
    ".eml": "mail:read_mail",
    ".ipynb": "notebook:read_notebook",
    ".pdf": "pdf:read_pdf",
    ".docx": "word:read_docx",
    ".pptx": "slides:read_pptx",
    ".xlsx": "sheets:read_xlsx",
    ".xlsm": "sheets:read_xlsx",
    ".csv": "delimited:read_csv",
    ".tsv": "delimited:read_csv",
    ".json": "records:read_json",
    ".jsonl": "records:read_jsonl",
    ".ndjson": "records:read_jsonl",
    **{ending: f"code:{language}" for language, endings in CODE.items() for ending in endings.split()},
}
"""Ending to module:function below this package."""


def reader_of(path: PurePath) -> Reader | None:
    """The reader for a file by its ending, imported now, or None."""
    found = READERS.get(path.suffix.lower())
    if found is None:
        return None
    module, _, function = found.partition(":")
    reader: Reader = getattr(import_module(f"index.readers.{module}"), function)
    return reader
