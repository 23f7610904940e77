"""A tiny real world: real SQLite and Chroma in tmp, a word-hash embedder, no network but loopback, no user data."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium, page, site  # noqa: F401  # fixtures

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SAMPLE = Path(__file__).resolve().parents[1] / "evals" / "suites" / "sample" / "docs"


class WordHash:
    """Each word is a fixed random direction, a text the sum of its words: similarity is word overlap."""

    fingerprint = "word-hash"
    dim = 64
    window = 254

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def token_starts(self, text: str) -> np.ndarray:
        import re

        return np.array([found.start() for found in re.finditer(r"\w+|[^\w\s]", text)], np.int64)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        rows = [sum((_direction(word) for word in text.lower().split()), np.full(64, 1e-3)) for text in texts]
        out = np.array(rows, np.float32).reshape(len(texts), 64)
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def _direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.strip(".,?!").encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(64)


@pytest.fixture
def words() -> WordHash:
    return WordHash()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small documents."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / "tower.md").write_text(
        "# The tower\n\nThe tower was built in 1868. It is 34 metres high.\n\n"
        "## Keepers\n\nThe last keeper was Ewan Brough. He left in 1994.\n",
        "utf-8",
    )
    (docs / "ferry.txt").write_text("The ferry sails at noon. A ticket costs 18 pounds.\n", "utf-8")
    (docs / "sub" / "birds.txt").write_text("Puffins nest in burrows. Kittiwakes nest on cliffs.\n", "utf-8")
    return docs


@pytest.fixture(autouse=True)
def _no_user_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data folder is in tmp, and no index above the working folder is found."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("RAG_INDEX", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection or name look-up that would leave this machine fails the test."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and str(address[0]) not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test tried to connect to {address}")
        connect(self, address)

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in {None, "", "127.0.0.1", "::1", "localhost", b"localhost", "0.0.0.0"}:
            raise AssertionError(f"a test tried to look up {host}")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    return
