"""Chroma as the vector store: one record a chunk, in parts of bounded size, each a collection of its own.

Chroma holds the graph of a collection in memory whole; so that a sync of any size needs the same memory, a part takes
the chunk ids of one range and only the parts in use are open. Always rebuildable from the catalog, part by part. Only
the holder of the index's lock writes here (several writers corrupt a Chroma folder without an error); record ids are
never used a second time after a deletion.
"""

from __future__ import annotations

import heapq
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from index.collection import COLLECTION, Collection, Record, open_folder
from index.heap import give_back

__all__ = ["ChromaVectors", "Record", "discard", "open_folder"]

PART = 25_000
"""Chunk ids of one part: about 15 MB of text, and 45 MB of graph in memory."""

# Parts open at a time: what a sync writes lies in the newest, what it replaces often in one other.
_OPEN = 2


class ChromaVectors:
    """All parts. In a folder, part 0 is `folder` (`chroma`), the others lie beside it (`chroma-2`, `chroma-3`, …), each
    with one collection, `chunks`; on the server at `url` they are collections. Raises what `Collection` raises.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.url = url
        self._parts: dict[int, Collection] = {}  # the latest used last
        self._written: set[int] = set()

    def part(self, number: int) -> Collection:
        """One part, of which at most two are open."""
        found = self._parts.pop(number, None) or self._made(number)
        self._parts[number] = found
        while len(self._parts) > _OPEN:
            self._parts.pop(next(iter(self._parts))).close()
            give_back()  # what a closed part held lies in pieces, more with every part
        return found

    def _made(self, number: int) -> Collection:
        ending = f"-{number + 1}" if number else ""
        if self.url is None:
            return Collection(self.folder.with_name(f"{self.folder.name}{ending}"))
        return Collection(self.folder, self.url, lambda: f"{self.name}{ending}")

    @property
    def name(self) -> str:
        """What the collections are called: on a server, where other indexes have theirs, a name of this index's own,
        noted in the folder; those of parts from the second on end in their number."""
        if self.url is None:
            return COLLECTION
        file = self.folder / "collection"
        name, noted = _noted(file) or (f"{COLLECTION}-{secrets.token_hex(8)}", "")
        if noted != self.url:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(f"{name}\n{self.url}\n", "utf-8")
            os.replace(part, file)
        return name

    def parts(self) -> list[int]:
        """Numbers of the parts that are there; opens none of them."""
        if self.url is not None:
            first, names = self.name, self.part(0).names()
        else:
            first = self.folder.name
            # An empty folder holds no part.
            near = self.folder.parent.glob(f"{first}*") if self.folder.parent.is_dir() else ()
            names = [path.name for path in near if not path.is_dir() or any(path.iterdir())]
        ending = re.compile(rf"{re.escape(first)}(?:-([2-9]|[1-9]\d+))?")
        return sorted(int(found[1] or 1) - 1 for found in map(ending.fullmatch, names) if found)

    def upsert(self, records: Sequence[Record]) -> None:
        """Write records in place."""
        parted: dict[int, list[Record]] = {}
        for record in records:
            parted.setdefault(part_of(record.id), []).append(record)
        for number, some in sorted(parted.items()):
            self._written.add(number)
            self.part(number).upsert(some)

    def delete(self, ids: Iterable[int]) -> None:
        """Remove records; ids that are not there are ignored."""
        parted: dict[int, list[int]] = {}
        for id in ids:
            parted.setdefault(part_of(id), []).append(id)
        for number, some in sorted(parted.items()):
            self._written.add(number)
            self.part(number).delete(some)

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Ids of the `count` nearest records by cosine, best first; approximate. Opens every part in turn."""
        found = [self.part(number).nearest(vector, count) for number in self.parts()]
        return [id for _, id in heapq.nsmallest(count, (pair for some in found for pair in some))]

    def ids(self) -> set[int]:
        """Ids of all records."""
        return {id for number in self.parts() for id in self.part(number).ids()}

    def worn(self) -> list[int]:
        """Parts in which dead entries pass a fifth of all, of those written to since this was opened."""
        return [number for number in sorted(self._written) if self.part(number).worn()]

    def reset(self) -> None:
        """Throw every part away, in the folder with everything in it."""
        for number in self.parts():
            self.part(number).reset()
        self.close()

    def close(self) -> None:
        """Let go of every folder."""
        self._written.clear()
        while self._parts:
            self._parts.popitem()[1].close()


def part_of(id: int) -> int:
    """The part that holds a chunk."""
    return id // PART


def discard(folder: Path) -> None:
    """Delete all that an index has in Chroma, in its folder and, where one was used last, on the server.

    Raises RagError when that server cannot be reached: what is on it would stay.
    """
    noted = _noted(folder / "collection")
    if noted is not None:
        chroma = ChromaVectors(folder, noted[1])
        chroma.reset()
        chroma.close()
    ChromaVectors(folder).reset()


def _noted(file: Path) -> tuple[str, str] | None:
    """Name and server of the collection that was used last."""
    try:
        name, url = file.read_text("utf-8").split()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return name, url
