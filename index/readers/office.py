"""What Word, PowerPoint and Excel files have in common: their core properties and how a table row is written."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence

from index.readers import Meta

_NAMES = {
    "title": "{http://purl.org/dc/elements/1.1/}title",
    "author": "{http://purl.org/dc/elements/1.1/}creator",
    "language": "{http://purl.org/dc/elements/1.1/}language",
    "modified": "{http://purl.org/dc/terms/}modified",
    "created": "{http://purl.org/dc/terms/}created",
}
# Left by programs, not by people.
_NO_TITLE = re.compile(
    r"(?:pr\w+nta\w+\W+(?:de\W+)?)?powerpoint(?:\W+pr\w+)?|word document|microsoft \w+ ?-.*|\S*\.\w{3,4}", re.IGNORECASE
)
_NO_AUTHOR = re.compile(
    r"python-(?:docx|pptx)|openpyxl|(?:windows|microsoft office) ?user|user|admin\w*", re.IGNORECASE
)


def core_properties(archive: zipfile.ZipFile) -> tuple[str, Meta]:
    """Title (perhaps "") and author, language and date of the last change, as far as a person filled them in."""
    from lxml import etree

    if "docProps/core.xml" not in archive.namelist():
        return "", {}
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(archive.read("docProps/core.xml"), parser)
    found = {name: " ".join((root.findtext(tag) or "").split()) for name, tag in _NAMES.items()}
    date = re.match(r"\d{4}-\d\d-\d\d", found["modified"]) or re.match(r"\d{4}-\d\d-\d\d", found["created"])
    meta = {
        "author": "" if _NO_AUTHOR.fullmatch(found["author"]) else found["author"],
        "date": date.group() if date else "",
        "language": found["language"],
    }
    title = "" if _NO_TITLE.fullmatch(found["title"]) else found["title"]
    return title, {name: value for name, value in meta.items() if value}


def bar_row(cells: Sequence[str]) -> str:
    """`| a | b |` on one line; a bar inside a cell is escaped."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
