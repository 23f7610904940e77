"""Jupyter notebooks (nbformat 3 and 4) to Markdown: prose, code in fences, what it printed. Not pictures or widgets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.markup import fenced
from index.readers.text import decode

# The beginning of an output says what it is; a training log of a thousand lines says nothing more.
_LONGEST_OUTPUT = 1500
_EMBEDDED = re.compile(r"data:[\w/+.;=-]{0,100}base64,[A-Za-z0-9+/=]+")
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")


def read_notebook(data: bytes, options: ReadOptions) -> Extract:
    """The cells in order. Metadata: `author` and `code` (the kernel's language). Raises DocumentError."""
    try:
        notebook = json.loads(decode(data).removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"broken notebook: not JSON ({str(error)[:100]})") from error
    cells = _cells(notebook)
    if cells is None:
        raise DocumentError("not a notebook: no list of cells; open it in Jupyter and save it again")
    language = _language(notebook, cells)
    blocks = [block for cell in cells for block in _blocks(cell, language) if block.strip()]
    meta = {"code": language} if language else {}
    authors = _dict(notebook.get("metadata")).get("authors")
    names = [_text(_dict(author).get("name")) for author in authors] if isinstance(authors, list) else []
    if any(names):
        meta["author"] = ", ".join(filter(None, names))[:500]
    return Extract("\n\n".join(blocks), title=_title(blocks), meta=meta)


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Version 4 has cells, version 3 has worksheets that have cells."""
    notebook = _dict(notebook)
    sheets = notebook.get("worksheets")
    sheets = sheets if isinstance(sheets, list) else []
    found = [notebook.get("cells"), *(_dict(sheet).get("cells") for sheet in sheets)]
    lists = [cells for cells in found if isinstance(cells, list)]
    return [cell for cells in lists for cell in cells if isinstance(cell, dict)] if lists else None


def _language(notebook: dict[str, Any], cells: list[dict[str, Any]]) -> str:
    meta = _dict(notebook.get("metadata"))
    names = (
        _dict(meta.get("language_info")).get("name"),
        _dict(meta.get("kernelspec")).get("language"),
        *(cell.get("language") for cell in cells),
    )
    found = (name.lower() for name in names if isinstance(name, str) and re.fullmatch(r"[\w+#.-]{1,20}", name))
    return next(found, "")


def _blocks(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _EMBEDDED.sub("data:", _text(cell.get("source", cell.get("input"))))
    match cell.get("cell_type"):
        case "code":
            if source.strip():
                yield fenced(source.strip("\n"), language)
            outputs = cell.get("outputs")
            shown = "\n".join(filter(None, map(_output, outputs if isinstance(outputs, list) else [])))
            if shown.strip():
                yield fenced(_cut(shown))
        case "heading":
            level = cell.get("level")
            yield f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {' '.join(source.split())}"
        case _:
            yield source.strip("\n")


def _output(output: Any) -> str:
    """What an output says as text; of an error only what it was, of a picture nothing."""
    output = _dict(output)
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}".strip(": ")
    bundle = _dict(output.get("data"))
    text = _text(bundle.get("text/markdown") or bundle.get("text/plain") or output.get("text"))
    lines = (line.rpartition("\r")[2] for line in _COLOURS.sub("", text).replace("\r\n", "\n").split("\n"))
    text = _EMBEDDED.sub("data:", "\n".join(lines)).strip("\n")
    return "" if re.fullmatch(r"<[^<>\n]*>", text) else text  # "<Figure size 640x480 with 1 Axes>"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_OUTPUT:
        return text
    end = text.rfind("\n", _LONGEST_OUTPUT // 2, _LONGEST_OUTPUT)
    end = _LONGEST_OUTPUT if end < 0 else end
    return f"{text[:end]}\n[{len(text) - end:,} more characters of output]"


def _title(blocks: list[str]) -> str:
    for block in blocks:
        found = None if block.startswith("```") else re.search(r"^#{1,3}[ \t]+(\S.*)$", block, re.MULTILINE)
        if found:
            return found.group(1).strip("# \t")
    return ""


def _text(value: Any) -> str:
    """A string, or the list of lines that notebooks store instead of one."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
