"""What the reliability scripts share: a quick embedder, made-up documents, an index laid open, forks, a table."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a checkout, installed or not

from index.store import Index
from rag import Rag

DIM = 64


class WordHash:
    """Each word is a fixed random direction, a text the sum of its words: similarity is word overlap."""

    fingerprint = "word-hash-quick"
    dim = DIM
    window = 254

    def token_starts(self, text: str) -> np.ndarray:
        return np.array([found.start() for found in re.finditer(r"\w+|[^\w\s]", text)], np.int64)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [sum((_direction(word) for word in text.lower().split()), np.full(DIM, 1e-3)) for text in texts]
        out = np.array(rows, np.float32).reshape(len(texts), DIM)
        return out / np.linalg.norm(out, axis=1, keepdims=True)


@lru_cache(200_000)
def _direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.strip(".,?!").encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(DIM)


_WORDS = [
    a + b + c for a in ("ba", "ke", "lo", "mi", "su", "ta") for b in "nrstlm" for c in ("a", "el", "ing", "o", "us")
]


def prose(rng: random.Random, sentences: int, token: str = "") -> str:
    """Sentences of made-up words, in paragraphs of five; `token` stands in every sentence."""
    made = []
    for number in range(sentences):
        words = rng.choices(_WORDS, k=rng.randint(8, 14))
        made.append(f"{words[0].capitalize()} {' '.join(words[1:])} {token}".rstrip() + ".")
        made.append("\n\n" if number % 5 == 4 else " ")
    return "".join(made).strip() + "\n"


def open_rag(folder: Path) -> Rag:
    return Rag(folder, embedder=WordHash())


def dump(index: Index) -> dict[str, Any]:
    """Everything the catalog holds, by document, but for ids and times, which differ between two equal indexes."""
    out: dict[str, Any] = {}
    with index.reading() as snapshot, index.catalog.read() as db:
        lexicon = dict(db.execute("SELECT rowid, terms FROM lexicon"))
        blobs = dict(db.execute("SELECT key, vector FROM vectors"))
        for row, doc in enumerate(snapshot.docs):
            text = snapshot.document_text(row)
            chunks = [
                (c.start, c.end, c.page, c.heading, c.tokens, text[c.start : c.end], lexicon.get(c.id), blobs.get(key))
                for c, key in index.catalog.chunks(doc)
            ]
            out[doc] = {"text": text, "title": snapshot.titles[row], "chunks": chunks}
        strays = set(lexicon) - {int(id) for id in snapshot.ids}
        unused = set(blobs) - {key for (key,) in db.execute("SELECT vector FROM chunks")}
    out[""] = {"lexicon rows of no chunk": sorted(strays), "vectors of no chunk": sorted(unused)}
    return out


def fresh(files: Mapping[str, str], added: Mapping[str, str]) -> dict[str, Any]:
    """The dump of a new index of these files and of these texts added from memory."""
    with tempfile.TemporaryDirectory() as scratch:
        docs = Path(scratch) / "docs"
        docs.mkdir()
        for name, text in files.items():
            (docs / name).write_text(text, "utf-8")
        with open_rag(Path(scratch) / "index") as kb:
            kb.sync(docs)
            for name, text in added.items():
                kb.add(text, name)
            return dump(kb.index)


def differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    """Which documents differ between two dumps, and in what."""
    found = [f"{doc}: only in one" for doc in sorted(set(one) ^ set(two))]
    for doc in sorted(set(one) & set(two)):
        if one[doc] != two[doc]:
            parts = [part for part in one[doc] if one[doc][part] != two[doc].get(part)]
            found.append(f"{doc}: {', '.join(parts)} differ")
    return found


def forked(work: Callable[[], Any], seconds: float = 300.0) -> dict[str, Any]:
    """Run in a child, so that a crash or hang costs nothing: {"value"} or {"error"} or {"traceback"} or {"signal"}."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _answer(writer, work, int(seconds))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return dict(json.loads(said)) if said else {"traceback": f"exit status {os.waitstatus_to_exitcode(status)}"}


def _answer(writer: int, work: Callable[[], Any], seconds: int) -> None:
    from index.errors import RagError

    signal.alarm(seconds)  # a hang ends as signal 14
    try:
        answer = {"value": work()}
    except RagError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    except BaseException:
        answer = {"traceback": traceback.format_exc()}
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(answer).encode())
    os._exit(0)


def warm_up() -> None:
    """Import what children need once, before they are forked; opens nothing."""
    import importlib

    from index.documents import plain_document
    from index.tokens import count_each

    for module in ("chromadb.api.rust", "filelock", "index.minilm"):
        importlib.import_module(module)
    count_each(["words"])
    plain_document("Some words, of which the language is guessed.", "note")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def table(head: Sequence[str], rows: Iterable[Sequence[object]], width: int = 70) -> None:
    """Print rows under a head, each cell cut to `width` characters."""
    cells = [[" ".join(str(cell).split())[:width] for cell in row] for row in [head, *rows]]
    wide = [max(len(row[at]) for row in cells) for at in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(wide[at]) for at, cell in enumerate(row)).rstrip())
        if number == 0:
            print("  ".join("-" * one for one in wide))
