"""What is done every day: a sync that finds nothing new, a first search in a fresh process, a question's vector.

    python benchmarks/everyday.py [--files 10000] [--rounds 5]

The files are made up, their vectors random: only looking at them is measured. The index that is searched is that of the
sample suite. Each figure is of whole processes but the last, which is of one that stays.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[1] / "evals" / "suites" / "sample" / "docs"
RAG = Path(sys.executable).with_name("rag")
MAKE = """
import sys
sys.path.insert(0, {here!r})
from ingest import Free
from rag import Rag
Rag({index!r}, embedder=Free()).sync({docs!r})
"""
SYNC = MAKE.replace(
    "Rag({index!r}, embedder=Free()).sync({docs!r})",
    """
import time
began = time.perf_counter()
report = Rag({index!r}, embedder=Free()).sync({docs!r})
assert len(report.unchanged) == {count} and not report.changed, str(report)
print(time.perf_counter() - began)
""",
)
WARM = """
import time, statistics
from index.embed import open_embedder
model = open_embedder("minilm")
model.encode(["a first one"])
times = []
for number in range(200):
    began = time.perf_counter()
    model.encode([f"Which keeper of the lighthouse left in the year {{number + 1800}}?"])
    times.append(time.perf_counter() - began)
print(statistics.median(times))
"""


def python(source: str) -> str:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.strip()


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds and the largest resident set in MB of a process."""
    probe = (
        "import resource, subprocess, sys, time; began = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)"
    )
    out = subprocess.run([sys.executable, "-c", probe, *command], capture_output=True, text=True, check=True).stdout
    seconds, size = map(float, out.split())
    return seconds, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        docs, index, sample = Path(folder, "docs"), Path(folder, "index"), Path(folder, "sample")
        for number in range(options.files):
            path = docs / f"{number // 100:03}" / f"{number:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"File {number} speaks of thing {number * 7919 % 10_007} and of nothing else.\n")
        names = {"here": str(Path(__file__).parent), "index": str(index), "docs": str(docs), "count": options.files}
        python(MAKE.format(**names))
        time.sleep(3)  # files younger than the clock's grain are read again
        python(SYNC.format(**names))
        syncs = [float(python(SYNC.format(**names))) for _ in range(options.rounds)]
        subprocess.run([RAG, "sync", SAMPLE, "--index", sample], check=True, capture_output=True)
        search = [str(RAG), "search", "Why does the lighthouse have a yellow band?", "--index", str(sample)]
        searches = [timed(search) for _ in range(options.rounds)]
        asks = [timed([search[0], "ask", *search[2:]]) for _ in range(options.rounds)]
    print("| | median | least to most |\n|---|---|---|")
    row(f"second sync of {options.files:,} unchanged files, s", syncs)
    row("`rag search` in a fresh process, s", [seconds for seconds, _ in searches])
    row("... its largest resident set, MB", [size for _, size in searches])
    row("`rag ask` in a fresh process, s", [seconds for seconds, _ in asks])
    row("... its largest resident set, MB", [size for _, size in asks])
    row("a question's vector in a warm process, ms", [1e3 * float(python(WARM)) for _ in range(options.rounds)])


def row(name: str, found: list[float]) -> None:
    print(f"| {name} | {statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f} |")


if __name__ == "__main__":
    main()
