"""Files that come through the page: looked at, written into one folder, synced from there. Reads none of them.

The folder lies in the index's folder unless another is named, and is a synced root of its own: what is put there or
taken away by hand is found by the next sync, as everywhere. What a name could do to the machine is decided here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from index.catalog import Source
from index.documents import Document
from index.errors import DocumentError, RagError
from index.files import IGNORE_FILE, SIDECAR
from index.readers import READERS
from index.sync import Progress, SyncReport
from rag.answer import Rag

FOLDER = "uploads"
AT_ONCE = 200
"""Files in one drop: a folder of papers, not a home directory dropped by mistake."""

LONGEST_NAME = 200
"""Bytes of a file's or folder's name; file systems end at 255, and a part is written beside it first."""

DEEPEST = 8
ROOM_LEFT = 500_000_000
"""Bytes that an upload leaves free on the disk: the index grows, too."""

# Writing direction can make "exe.txt" of another name; a path's own signs and controls are no part of a name.
_BAD = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_KEPT_OUT = {"rag.toml", "pyproject.toml", IGNORE_FILE, "node_modules", "__pycache__", "venv", "site-packages"}


class UploadError(RagError):
    """Nothing of this upload was kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be uploaded: bytes of a file, files and bytes in the folder altogether."""

    file_bytes: int
    files: int = 5000
    bytes: int = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a drop: names kept; (name, reason) refused; names that stand there already, left as they are."""

    saved: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    existing: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.saved)} received"] if self.saved else []
        parts += [f"{len(self.existing)} there already"] if self.existing else []
        parts += [f"{len(self.refused)} refused"] if self.refused else []
        return ", ".join(parts) or "nothing received"


@dataclass(frozen=True, slots=True)
class Removed:
    """A document as it was before it was taken out; `file` holds the bytes of an upload, under no name on the disk."""

    document: Document
    source: Source
    file: IO[bytes] | None = None


class Uploads:
    """The folder of uploads of one index. `kb`'s settings bound the size of a file."""

    def __init__(self, kb: Rag, folder: Path | None = None, limits: Limits | None = None) -> None:
        self.kb = kb
        self.folder = Path(os.path.abspath(folder)) if folder else kb.index.folder / FOLDER
        self.limits = limits or Limits(kb.settings.max_file_mb * 1_000_000)
        self._lock = threading.Lock()  # two drops at once must not both find the last free place

    def add(self, files: Sequence[tuple[str, Path]], *, replace: bool = False) -> Received:
        """Keep files under (name, where they lie now); a name may hold folders. Syncs nothing.

        A file whose name is taken is left out and reported, unless `replace`; one with the same bytes counts as
        there already in either case. Raises UploadError when there are too many, or the folder cannot be written.
        """
        if len(files) > AT_ONCE:
            raise UploadError(f"{len(files)} files at once; at most {AT_ONCE} are taken. Sync large folders instead.")
        saved: list[str] = []
        existing: list[str] = []
        refused: list[tuple[str, str]] = []
        try:
            with self._lock:
                self.folder.mkdir(parents=True, exist_ok=True)
                count, size = self._held()
                for given, source in files:
                    try:
                        name = safe_name(given)
                        count, size = self._fits(source, count, size)
                        (saved if self._keep(source, name, replace) else existing).append(name)
                    except DocumentError as error:
                        refused.append((_shown(given), str(error)))
        except OSError as error:
            raise UploadError(f"{self.folder} cannot be written: {error.strerror or error}.") from error
        return Received(tuple(saved), tuple(refused), tuple(existing))

    def sync(self, progress: Progress | None = None) -> SyncReport:
        """Index what lies in the folder. Raises RagError as `Rag.sync` does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.kb.sync(self.folder, progress=progress)

    def add_url(self, url: str, progress: Progress | None = None) -> SyncReport:
        """Index a page of the web, or a sitemap's, by the rules of `index.web`. Raises RagError."""
        from index.web import is_url, normalised

        url = url.strip()
        if not is_url(url):
            raise UploadError(f"{url!r:.200} is not a web address; expected one like https://example.org/page")
        report = self.kb.sync(normalised(url), progress=progress)
        if report.failed and not (report.added or report.changed or report.unchanged):
            raise UploadError(f"{url:.200}: {report.failed[0][1]}")
        return report

    def remove(self, doc: str) -> Removed | None:
        """Take a document out of the index; an uploaded one loses its file too, else the next sync brought it back.

        Returns what `undo` needs, None for an upload that nothing could be kept of. Raises DocumentError.
        """
        document, source = self.kb.document(doc), self.kb.index.source(doc)
        path = Path(source.path) if source.path and self.holds(source.path) else None
        file = _nameless(path) if path else None
        self.kb.remove(doc)
        if path:
            path.unlink(missing_ok=True)
        return Removed(document, source, file) if file or not path else None

    def undo(self, removed: Removed) -> None:
        """Bring a document back as it was, an upload with its file. Raises RagError when its name is taken by now."""
        target = Path(removed.source.path or "")
        if removed.file:
            self._put_back(removed.file, target, removed.source)
        try:
            self.kb.index.put_back(removed.document, removed.source)
        except BaseException:
            if removed.file:
                target.unlink()
            raise

    def _put_back(self, file: IO[bytes], target: Path, source: Source) -> None:
        file.seek(0)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not _written(file, target, replace=False):
                raise UploadError(f"{target.name} was uploaded again; nothing was changed.")
            if source.mtime_ns is not None:  # as it was indexed: it has not changed since
                os.utime(target, ns=(source.mtime_ns, source.mtime_ns))
        except OSError as error:
            raise UploadError(f"{target} cannot be written: {error.strerror or error}.") from error

    def holds(self, path: str | Path) -> bool:
        """Whether a file came through the page: links inside the folder do not count as being in it."""
        return Path(path).resolve().is_relative_to(self.folder.resolve())

    def _held(self) -> tuple[int, int]:
        sizes = list(_sizes(self.folder))
        return len(sizes), sum(sizes)

    def _fits(self, source: Path, count: int, size: int) -> tuple[int, int]:
        """The folder's count and size with this file. Raises DocumentError when it is too much."""
        own, most = source.stat().st_size, self.limits
        if own > most.file_bytes:
            raise DocumentError(f"{own / 1e6:.0f} MB; at most {most.file_bytes / 1e6:.0f} MB are taken (max_file_mb)")
        if own == 0:
            raise DocumentError("the file is empty")
        if count + 1 > most.files or size + own > most.bytes:
            raise DocumentError(
                f"the uploads are full ({count:,} files, {size / 1e9:.1f} GB); remove some, or sync a folder instead"
            )
        if shutil.disk_usage(self.folder).free - own < ROOM_LEFT:
            raise DocumentError("the disk is nearly full")
        return count + 1, size + own

    def _keep(self, source: Path, name: str, replace: bool) -> bool:
        """Write it under its name, all of it or nothing; False when the name is taken, or holds these bytes."""
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise DocumentError("a file of that name stands where its folder would be") from None
        # A link that somebody placed in the folder must not lead the writing out of it.
        if not target.parent.resolve().is_relative_to(self.folder.resolve()):
            raise DocumentError("its folder is a link that leads out of the uploads")
        if target.is_dir():
            raise DocumentError("a folder has that name")
        if target.exists() and (not replace or _same(source, target)):
            return False
        with source.open("rb") as data:
            return _written(data, target, replace)


def safe_name(given: str) -> str:
    """The name under which a file is kept, folders included. Raises DocumentError for one that is not taken."""
    plain = unicodedata.normalize("NFC", given.encode("utf-8", "replace").decode()).replace("\\", "/")
    parts = [part.strip() for part in plain.split("/")]
    if not parts[-1]:
        raise DocumentError("it has no name")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in parts or "" in parts:
        raise DocumentError("its name leads out of the uploads")
    if len(parts) > DEEPEST:
        raise DocumentError(f"it lies more than {DEEPEST} folders deep")
    for part in parts:
        if part.startswith(".") or part.lower() in _KEPT_OUT:
            raise DocumentError("hidden files and settings are not taken")
        if _BAD.search(part) or part.endswith(".") or _RESERVED.fullmatch(part):
            raise DocumentError("its name holds signs that not every system can keep")
        if len(part.encode()) > LONGEST_NAME:
            raise DocumentError(f"its name is longer than {LONGEST_NAME} bytes")
    name = parts[-1].lower()
    if name.endswith(SIDECAR) or Path(name).suffix not in READERS:
        kind = Path(parts[-1]).suffix or "files without an ending"
        raise DocumentError(f"no reader for {kind}")
    return "/".join(parts)


def _written(data: IO[bytes], target: Path, replace: bool) -> bool:
    """Write all of it or nothing; False when there is such a file, unless it is to be replaced."""
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=".upload-")
    try:
        with os.fdopen(handle, "wb") as out:
            shutil.copyfileobj(data, out)
        if not replace:
            try:  # a place of our own first: unlike a rename, never over a file that has just come
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return False
        os.replace(part, target)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _nameless(path: Path) -> IO[bytes] | None:
    """A copy that goes when it is let go of, or with this process; None where there is no room, or no file."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        copy = opened.enter_context(tempfile.TemporaryFile(dir=path.parent, prefix=".upload-"))
        with path.open("rb") as data:
            shutil.copyfileobj(data, copy)
        copy.flush()
        opened.pop_all()
        return copy
    return None


def _shown(name: str) -> str:
    return _BAD.sub("?", name.replace("\\", "/").rpartition("/")[2])[:100] or "?"


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            piece = left.read(1 << 20)
            if piece != right.read(1 << 20):
                return False
            if not piece:
                return True


def _sizes(folder: Path) -> Iterator[int]:
    """Bytes of each file in a folder; one that vanishes meanwhile, as parts do, does not count."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield entry.stat(follow_symlinks=False).st_size
