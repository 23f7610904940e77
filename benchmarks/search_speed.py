"""Speed of a search, stage by stage, as an index grows: time, memory, disk, opening. Not how good the passages are.

usage: python benchmarks/search_speed.py [--sizes 1000 10000 100000] [--questions 200] [--work DIR]
Documents are sentences of the sample corpus whose content words, names and numbers are drawn anew from a Zipf-like
vocabulary of 200,000 words, so that posting lists are as long as real ones; half of the documents have pages. They go
through the real chunker and catalog. Their vectors are random (a search's time does not depend on them) and Chroma is
left out, as a search does not read it; questions are embedded by the real model. Figures stand in RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from index.catalog import Catalog, Entry
from index.documents import Document
from index.minilm import shipped
from index.sentences import sentences
from index.store import Index
from index.sync import Writer
from index.terms import STOP_WORDS
from rag import Rag

WORDS, NAMES = 200_000, 20_000
DOCUMENTS_A_BATCH = 100
_SLOT = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


@dataclass
class HashedVectors:
    """Random unit vectors, under the name of the real model, which counts the tokens here and reads the questions."""

    window: int = shipped().window
    fingerprint: str = shipped().fingerprint
    dim: int = shipped().dim
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def token_starts(self, text: str) -> np.ndarray:
        return shipped().token_starts(text)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = self.rng.standard_normal((len(texts), self.dim), np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


class Language:
    """Draws words as often as a real corpus has them: Zipf-Mandelbrot over the model's vocabulary, then compounds."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        tokenizer: Any = shipped()._tokenizer
        listed = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])  # BERT's vocabulary is by frequency
        words = [w for w, _ in listed if w.isascii() and w.isalpha() and len(w) > 2 and w not in STOP_WORDS]
        pairs = rng.integers(len(words), size=(WORDS - len(words), 2))
        self.words = [*words, *(words[a] + words[b] for a, b in pairs)]
        self.names: list[str] = [
            (words[a] + words[b][:4]).capitalize() for a, b in rng.integers(2000, len(words), (NAMES, 2))
        ]
        self._drawn: Iterator[int] = iter(())

    def word(self) -> str:
        """A content word."""
        return str(self.words[self._rank() % len(self.words)])

    def name(self) -> str:
        """A name; some are in many documents, most in a few."""
        return self.names[self._rank() % NAMES]

    def number(self) -> str:
        """A year or an amount."""
        return str(self.rng.integers(1850, 2025)) if self.rng.random() < 0.5 else f"{self.rng.integers(1, 99999):,}"

    def _rank(self) -> int:
        rank = next(self._drawn, None)
        if rank is None:
            weights = 1 / (np.arange(WORDS) + 20.0)
            self._drawn = iter(self.rng.choice(WORDS, 1_000_000, p=weights / weights.sum()).tolist())
            rank = next(self._drawn)
        return rank


def templates() -> list[str]:
    """The sentences of the sample corpus."""
    docs = files("evals") / "suites" / "sample" / "docs"
    texts = [file.read_text("utf-8") for file in docs.iterdir() if file.name.endswith((".txt", ".md"))]
    return [text[a:b].lstrip("#").strip() for text in texts for a, b in sentences(text) if b - a > 25]


def sentence(language: Language, template: str) -> str:
    """The template with its content words, names and numbers drawn anew."""

    def drawn(found: re.Match[str]) -> str:
        word = found.group()
        if word[0].isdigit():
            return language.number()
        if word.lower() in STOP_WORDS or len(word) < 3:
            return word
        if word[0].isupper():
            return language.name() if found.start() else language.word().capitalize()
        return language.word()

    return _SLOT.sub(drawn, template)


def document(language: Language, said: Sequence[str], number: int) -> Document:
    """About 5,000 words under headings; every second document has pages of about 300 words."""
    rng, paged = language.rng, number % 2 == 1
    parts: list[str] = []
    for _ in range(16):
        parts.append(f"{'' if paged else '## '}{language.word().capitalize()} {language.word()} {language.name()}")
        picked = rng.integers(len(said), size=20)
        parts += [" ".join(sentence(language, said[i]) for i in picked[at : at + 4]) for at in range(0, 20, 4)]
    text = "\n\n".join(parts)
    title = f"{language.name()} {language.word()}"
    starts = [found.start() for found in re.finditer(r"\n\n", text)][5::6] if paged else []
    pages = tuple(zip([0, *starts], [*starts, len(text)], strict=True)) if paged else ()
    meta = {"kind": "pdf" if paged else "md", "date": f"{rng.integers(2000, 2025)}-{rng.integers(1, 13):02}-01"}
    return Document(f"folder-{number % 50}/{number:06}.{meta['kind']}", text, pages, title, f"{number:064x}", meta)


def fill(folder: Path, size: int) -> None:
    """An index of `size` chunks, made once and kept."""
    embedder = HashedVectors()
    index = Index(folder, embedder=embedder)
    if index.exists():
        return
    language, said, done, number = Language(embedder.rng), templates(), 0, 0
    with index._writing() as writer:
        while done < size:
            entries = [writer.entry(document(language, said, number + i)) for i in range(DOCUMENTS_A_BATCH)]
            number += DOCUMENTS_A_BATCH
            done += commit(index.catalog, writer, entries, size - done)
            print(f"# {done} of {size} chunks", end="\r", file=sys.stderr)
    index.close()


def commit(catalog: Catalog, writer: Writer, entries: list[Entry], wanted: int) -> int:
    """Write as many of the entries as hold the wanted number of chunks, by the catalog's own transaction."""
    sizes = np.cumsum([len(entry.chunks) for entry in entries])
    entries = entries[: int(np.searchsorted(sizes, wanted)) + 1]
    entries = writer._with_ids(entries, catalog.reserve_ids(sum(len(entry.chunks) for entry in entries)))
    keys = [key for entry in entries for key in entry.keys]
    vectors = writer.embedder.encode([key.hex() for key in keys])
    catalog.replace(entries, dict(zip(keys, vectors, strict=True)))
    return sum(len(entry.chunks) for entry in entries)


def questions(folder: Path, count: int) -> list[str]:
    """Questions about random sentences: three to eight of their words, in the frame of a real one."""
    rng = np.random.default_rng(1)
    index = Index(folder)
    frames = ["When did {} happen?", "How many {} were counted?", "What is said about {}?", "Who was {}?"]
    asked: list[str] = []
    with index.reading() as snapshot:
        while len(asked) < count:
            text = snapshot.text(int(rng.integers(len(snapshot))))
            words = [w for w in _SLOT.findall(text) if w.lower() not in STOP_WORDS and len(w) > 2]
            if len(words) > 8:
                at, length = rng.integers(len(words) - 8), rng.integers(3, 9)
                asked.append(rng.choice(frames).format(" ".join(words[at : at + length])))
    index.close()
    return asked


def measure(folder: Path, count: int, tokens: int) -> None:
    """Print a row a stage: median and 95th percentile over the questions, in milliseconds."""
    asked = questions(folder, count)
    shipped().encode(["warm"])
    before, began = resident(), time.perf_counter()
    kb = Rag(folder)
    with kb.index.reading() as snapshot:
        assert len(snapshot.vectors)
        size = len(snapshot)
    opened = time.perf_counter() - began
    spent: dict[str, list[float]] = {}
    for question in asked:
        began = time.perf_counter()
        found = kb.retrieve(question, tokens=tokens)
        spent.setdefault("search", []).append(time.perf_counter() - began)
        for name, seconds in found.timings.items():
            spent.setdefault(name, []).append(seconds)
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"\n{size} chunks: {disk / 1e6:.0f} MB on disk, opened in {opened:.2f} s, first search "
          f"{spent['search'][0] * 1e3:.0f} ms, {resident() - before:.0f} MB of memory")  # fmt: skip
    for name, each in spent.items():
        half, most = np.percentile(each, [50, 95]) * 1e3
        print(f"  {name:8} p50 {half:7.2f}  p95 {most:7.2f} ms")


def resident() -> float:
    """Memory of this process in MB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], help="chunks")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=1000, help="budget of a search")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks/speed"), help="where indexes are kept")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.questions, given.tokens)
        return
    print(f"# {platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    for size in given.sizes:
        fill(given.work / str(size), size)
        # A process a size: memory that an earlier one left would be counted.
        options = ["--measure", given.work / str(size), "--questions", given.questions, "--tokens", given.tokens]
        subprocess.run([sys.executable, __file__, *map(str, options)], check=True)


if __name__ == "__main__":
    main()
