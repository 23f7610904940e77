"""Chroma as the vector store: one record a chunk with vector, text and filterable metadata, in a folder or on a server.

Always rebuildable from the catalog. Only the holder of the index's lock writes here (several writers corrupt a Chroma
folder without an error); record ids are never used a second time after a deletion.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from index.errors import IndexDamagedError, RagError

COLLECTION = "chunks"
# Chroma refuses more than 5,461 records a call.
_BATCH = 5000
_IMPORT = threading.Lock()


@dataclass(frozen=True, slots=True)
class Record:
    """What Chroma holds of one chunk."""

    id: int
    vector: np.ndarray
    text: str
    metadata: Mapping[str, str | int | float | bool]


class ChromaVectors:
    """The collection, opened at first use. Raises IndexDamagedError when Chroma cannot read its folder."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.url = url
        self._client: Any = None
        self._collection: Any = None

    def upsert(self, records: Sequence[Record]) -> None:
        """Write records in place."""
        for at in range(0, len(records), _BATCH):
            part = records[at : at + _BATCH]
            self._call(
                "upsert",
                ids=[str(record.id) for record in part],
                embeddings=np.stack([record.vector for record in part]),
                documents=[record.text for record in part],
                metadatas=[dict(record.metadata) for record in part],
            )

    def delete(self, ids: Iterable[int]) -> None:
        """Remove records; ids that are not there are ignored."""
        wanted = [str(id) for id in ids]
        for at in range(0, len(wanted), _BATCH):
            self._call("delete", ids=wanted[at : at + _BATCH])

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Ids of the `count` nearest records by cosine, best first; approximate."""
        found = self._call("query", query_embeddings=vector[None], n_results=count, include=[])
        return [int(id) for id in found["ids"][0]]

    def ids(self) -> set[int]:
        """Ids of all records."""
        return {int(id) for id in self._call("get", include=[])["ids"]}

    def reachable(self, probe: np.ndarray) -> int:
        """How many records a search can return at all; less than the number of ids means a damaged graph."""
        count = len(self.ids())
        return len(self.nearest(probe, count)) if count else 0

    def reset(self) -> None:
        """Throw the collection away, in the folder with everything in it."""
        if self.url is not None:
            client = self._connect()
            if COLLECTION in [collection.name for collection in client.list_collections()]:
                client.delete_collection(COLLECTION)
            self._collection = None
            return
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of the folder."""
        if self._client is not None and hasattr(self._client, "close"):
            self._client.close()
        self._client = self._collection = None

    def _call(self, method: str, **arguments: Any) -> Any:
        if self._collection is None:
            client = self._connect()
            try:
                # Without a configuration Chroma 1.5 attaches its downloading default embedding function all the same.
                self._collection = client.get_or_create_collection(
                    COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
                )
            except Exception as error:  # Chroma raises many unrelated classes
                raise self._failed(error) from error
        try:
            return getattr(self._collection, method)(**arguments)
        except Exception as error:
            raise self._failed(error) from error

    def _connect(self) -> Any:
        if self._client is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            chromadb = _import_chromadb(self.folder)
            settings = chromadb.config.Settings(_env_file=None, anonymized_telemetry=False)
            try:
                if self.url is None:
                    self._client = chromadb.PersistentClient(str(self.folder), settings=settings)
                else:
                    server = urlsplit(self.url)
                    secure = server.scheme == "https"
                    self._client = chromadb.HttpClient(
                        server.hostname or "localhost",
                        server.port or (443 if secure else 8000),
                        ssl=secure,
                        settings=settings,
                    )
            except Exception as error:
                _forget_system(str(self.folder))
                raise self._failed(error) from error
        return self._client

    def _failed(self, error: Exception) -> RagError:
        if self.url is not None:
            return RagError(f"The Chroma server at {self.url} cannot be used: {error}. Is it running? (chroma run)")
        return IndexDamagedError(
            f"Chroma cannot use {self.folder}: {error}. Nothing is lost: rag doctor --rebuild makes it anew."
        )


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
