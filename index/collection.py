"""One Chroma collection, in a folder of its own or on a server: records in, ids and neighbours out, plain errors.

Knows neither the catalog nor how an index is divided into such collections (`index.vectors`). Chroma loads the whole
graph of a collection it uses and lets go of it when the client is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from index.errors import IndexDamagedError, RagError, SettingsError

COLLECTION = "chunks"
# Notes sizes and times of the other files when they were last closed.
_LEFT = "left.json"
# Chroma refuses more than 5,461 records a call.
_BATCH = 5000
# Fewer dead entries than this cost a search nothing and a rebuild more.
_FEW_DEAD = 100
# Seconds to find out that no server is there, and for its answer to the largest batch; Chroma's client has no limit.
_CONNECT, _ANSWER = 10.0, 600.0
_IMPORT = threading.Lock()


@dataclass(frozen=True, slots=True)
class Record:
    """What Chroma holds of one chunk."""

    id: int
    vector: np.ndarray
    text: str
    metadata: Mapping[str, str | int | float | bool | list[str]]
    new: bool = False
    """Its id was never written here, so that there is nothing to merge with."""


class Collection:
    """The collection, opened at first use; `url` names a Chroma server, without it Chroma lives in `folder`.

    `named` gives its name, asked for at first use. Raises IndexDamagedError when Chroma cannot read its folder,
    RagError when there is no room on the disk, the folder cannot be written to, or the server does not answer.
    """

    def __init__(self, folder: Path, url: str | None = None, named: Callable[[], str] = lambda: COLLECTION) -> None:
        self.folder = folder
        self.url = url
        self._named = named
        self._client: Any = None
        self._collection: Any = None
        self._sound = False

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._named()

    def upsert(self, records: Sequence[Record]) -> None:
        """Write records in place."""
        for at in range(0, len(records), _BATCH):
            part = records[at : at + _BATCH]
            ids = [str(record.id) for record in part]
            gone = self._keys([str(record.id) for record in part if not record.new])
            self._call(
                "upsert",
                ids=ids,
                embeddings=np.stack([record.vector for record in part]),
                documents=[record.text for record in part],
                metadatas=[{**gone.get(id, {}), **record.metadata} for id, record in zip(ids, part, strict=True)],
            )

    def _keys(self, ids: Sequence[str]) -> dict[str, dict[str, None]]:
        """The metadata keys of records that are there, as what unsets them: Chroma merges metadata into what it had, so
        that a key which is no longer there has to be set to None."""
        if not ids:
            return {}
        before = self._call("get", ids=list(ids), include=["metadatas"])
        return {id: dict.fromkeys(had or {}) for id, had in zip(before["ids"], before["metadatas"], strict=True)}

    def delete(self, ids: Iterable[int]) -> None:
        """Remove records; ids that are not there are ignored."""
        wanted = [str(id) for id in ids]
        for at in range(0, len(wanted), _BATCH):
            part = wanted[at : at + _BATCH]
            # Counted first: a crash in between then leads to a rebuild too early, not to one too late.
            self._call("modify", metadata={"dead": self.dead() + len(part)})
            self._call("delete", ids=part)

    def nearest(self, vector: np.ndarray, count: int) -> list[tuple[float, int]]:
        """(1 - cosine, id) of the `count` nearest records, best first; approximate."""
        found = self._call("query", query_embeddings=vector[None], n_results=count, include=["distances"])
        return [(float(far), int(id)) for far, id in zip(found["distances"][0], found["ids"][0], strict=True)]

    def ids(self) -> set[int]:
        """Ids of all records."""
        return {int(id) for page in self._pages() for id in page}

    def _pages(self) -> Iterator[list[str]]:
        at = 0
        while page := self._call("get", include=[], limit=_BATCH, offset=at)["ids"]:
            yield page
            at += len(page)

    def stored(self, ids: Sequence[int]) -> dict[int, tuple[np.ndarray, str]]:
        """Vector, (d,) float32, and text of those records that are there; at most 5,000 ids."""
        found = self._call("get", ids=[str(id) for id in ids], include=["embeddings", "documents"])
        rows = zip(found["ids"], found["embeddings"], found["documents"], strict=True)
        return {int(id): (np.asarray(vector, np.float32), text) for id, vector, text in rows}

    def worn(self) -> bool:
        """Whether dead entries pass a fifth of all.

        Chroma only marks deleted vectors: its graph never shrinks, and recall suffers from what it still holds.
        """
        dead = self.dead()
        return dead > _FEW_DEAD and dead > (dead + int(self._call("count"))) / 5

    def dead(self) -> int:
        """Records deleted since the collection was made; kept in its metadata, so that it ends with it."""
        self._open()
        return int((self._collection.metadata or {}).get("dead", 0))

    def reset(self) -> None:
        """Throw the collection away, in the folder with everything in it."""
        if self.url is not None:
            client = self._connect()
            with self._plain_errors():
                if self.name in [collection.name for collection in client.list_collections()]:
                    client.delete_collection(self.name)
            self._collection = None
            return
        self._sound = False
        self.close()
        # Renamed first: a crash in the middle of the deletion must not leave half a folder, which Chroma would open.
        old = self.folder.with_name(f"{self.folder.name}.old")
        try:
            _remove(old)
            if self.folder.exists():
                os.replace(self.folder, old)
            _remove(old)
        except OSError as error:
            raise RagError(f"{self.folder} cannot be replaced: {error.strerror}.") from error

    def names(self) -> list[str]:
        """Names of all collections in that place."""
        client = self._connect()
        with self._plain_errors():
            return [collection.name for collection in client.list_collections()]

    def close(self) -> None:
        """Let go of the folder, and note what its files are like if they were sound when it was opened."""
        if self._client is not None and hasattr(self._client, "close"):
            self._client.close()
        opened, self._client, self._collection = self._client is not None, None, None
        if opened and self._sound:
            self.vouch()

    # What tells damage without opening Chroma, which damage can crash

    def as_left(self) -> bool:
        """Whether the files have the sizes and times at which they were last closed; of a server nothing is known."""
        if self.url is not None:
            return True
        return self._noted() == self._files()

    def cut(self) -> list[str]:
        """Files of the graph that are shorter than they were left; Chroma reads past the end of some without a word."""
        noted = self._noted() or {}
        return [name for name, (size, _) in self._files().items() if "/" in name and size < noted.get(name, [0])[0]]

    def _noted(self) -> dict[str, list[int]] | None:
        try:
            noted = json.loads((self.folder / _LEFT).read_text("utf-8"))
            return {str(name): [int(size), int(time)] for name, (size, time) in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def vouch(self) -> None:
        """Note the files as they are: they were found sound."""
        with contextlib.suppress(OSError):  # without the note they are looked at once more
            (self.folder / _LEFT).write_text(json.dumps(self._files()), "utf-8")

    def _files(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name not in {_LEFT, "collection"}:
                stat = path.stat()
                found[path.relative_to(self.folder).as_posix()] = [stat.st_size, stat.st_mtime_ns]
        return found

    def _call(self, method: str, **arguments: Any) -> Any:
        self._open()
        with self._plain_errors():
            return getattr(self._collection, method)(**arguments)

    def _open(self) -> None:
        if self._collection is not None:
            return
        client = self._connect()
        with self._plain_errors():
            # Without a configuration Chroma 1.5 attaches its downloading default embedding function all the same.
            self._collection = client.get_or_create_collection(
                self.name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )

    def _connect(self) -> Any:
        if self._client is None:
            with self._plain_errors():
                self._sound = self.url is None and (not self._files() or self.as_left())
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / _LEFT).unlink(missing_ok=True)  # a crash from here on leaves files that are in doubt
                self._client = open_folder(self.folder) if self.url is None else _server_client(self.folder, self.url)
        return self._client

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Chroma raises many unrelated classes, and Rust's panics, which are no Exceptions."""
        try:
            yield
        except RagError:
            raise
        except BaseException as error:
            self._sound = False
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise self._failed(error) from error
            raise

    def _failed(self, error: BaseException) -> RagError:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if self.url is not None:
            return RagError(
                f"The Chroma server at {self.url} cannot be used: {said}. Is it running? (chroma run)"
                " Nothing is lost: rag sync goes on where it stopped."
            )
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            return RagError(f"{self.folder} cannot be written to: {error.strerror or error}.")
        if any(words in str(error) for words in ("disk is full", "No space left", "readonly database")):
            return RagError(
                f"Chroma cannot write to {self.folder}: {said}. Make room there (or leave to write), then: rag sync"
            )
        return IndexDamagedError(
            f"Chroma cannot use {self.folder}: {said}. Nothing is lost: rag doctor --rebuild makes it anew."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_folder(folder: Path) -> Any:
    """A Chroma client over a folder that exists. Nobody else may write there while it is open; close it."""
    chromadb = _import_chromadb(folder)
    try:
        return chromadb.PersistentClient(str(folder), settings=_settings(chromadb))
    except BaseException:
        _forget_system(str(folder))
        raise


def _settings(chromadb: Any) -> Any:
    return chromadb.config.Settings(_env_file=None, anonymized_telemetry=False)


def _server_client(folder: Path, url: str) -> Any:
    import httpx

    chromadb = _import_chromadb(folder)
    server = urlsplit(url)
    if server.scheme not in {"http", "https"} or not server.hostname:
        raise SettingsError(f"chroma_url is {url!r}; expected http://host:port.")
    secure = server.scheme == "https"
    port = server.port or (443 if secure else 8000)
    # Asked first, because the client's own first request would wait for a silent server without end.
    host = f"[{server.hostname}]" if ":" in server.hostname else server.hostname
    httpx.get(f"{server.scheme}://{host}:{port}/api/v2/heartbeat", timeout=_CONNECT)
    client = chromadb.HttpClient(server.hostname, port, ssl=secure, settings=_settings(chromadb))
    session = getattr(client._server, "_session", None)
    if session is not None:
        session.timeout = httpx.Timeout(_ANSWER, connect=_CONNECT)
    return client


def _forget_system(path: str) -> None:
    """Chroma keeps one system a folder for the whole process, even one that failed to start; drop it."""
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient._identifier_to_system.pop(path, None)
    SharedSystemClient._identifier_to_refcount.pop(path, None)


def _import_chromadb(folder: Path) -> Any:
    """Import Chroma from inside its own folder: importing it reads a `.env` of the current one (pydantic-settings)."""
    import sys

    if "chromadb" not in sys.modules:
        with _IMPORT:
            here = os.getcwd()
            os.chdir(folder)
            try:
                import chromadb
            finally:
                os.chdir(here)
    import chromadb
    import chromadb.config

    return chromadb
