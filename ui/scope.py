"""Which documents a question is asked of: the filters of the page as conditions of a search. Knows no Gradio."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from index.catalog import DocumentInfo
from index.errors import QueryError
from index.filters import folders_of

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Scope:
    """Documents, folders and kinds that are wanted (none: all), and dates between which they lie, both included."""

    docs: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def where(self) -> dict[str, Any] | None:
        """As `Rag.search` takes it; None when nothing is asked for. Raises QueryError for what is no date."""
        lists = {"doc": self.docs, "folder": self.folders, "kind": self.kinds}
        where: dict[str, Any] = {name: list(values) for name, values in lists.items() if values}
        bounds = {sign: date for sign, date in ((">=", self.since.strip()), ("<=", self.until.strip())) if date}
        for date in bounds.values():
            if not _DATE.fullmatch(date):
                raise QueryError(f"{date[:40]!r} is not a date; expected one like 2021, 2021-06 or 2021-06-30.")
        if bounds:
            where["date"] = bounds
        return where or None

    def words(self) -> str:
        """What is asked of, in a few words."""
        parts = [
            _few(self.docs, "document"),
            _few(self.folders, "folder"),
            ", ".join(self.kinds),
            f"from {self.since.strip()}" if self.since.strip() else "",
            f"until {self.until.strip()}" if self.until.strip() else "",
        ]
        said = " · ".join(part for part in parts if part)
        return f"Only {said}" if said else "All documents"


Names = list[str] | None


def chosen(docs: Names, folders: Names, kinds: Names, since: str | None, until: str | None) -> Scope:
    """The scope that the fields of the page show; a field that is cleared may hold nothing at all."""
    one, two, three = (tuple(map(str, names or ())) for names in (docs, folders, kinds))
    return Scope(one, two, three, since or "", until or "")


def _few(names: Sequence[str], thing: str) -> str:
    if len(names) == 1:
        return names[0] if "*" in names[0] else names[0].rpartition("/")[2]
    return f"{len(names)} {thing}s" if names else ""


CHOICES = 2000
"""Names offered at most; others can be typed, also with a * for anything."""


def choices(documents: Sequence[DocumentInfo]) -> tuple[list[str], list[str], list[str]]:
    """What there is to choose from: documents, folders, kinds."""
    docs = [info.doc for info in documents]
    folders = sorted({folder for doc in docs for folder in folders_of(doc)})
    kinds = sorted({str(info.meta.get("kind", "")) for info in documents} - {""})
    return docs[:CHOICES], folders[:CHOICES], kinds
