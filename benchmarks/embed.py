"""Speed of the embedder: texts a second of each pass, a question's latency, a cold process. Not a test of quality.

    python benchmarks/embed.py [--texts 200] [--rounds 3] [--skip-sentence-transformers]

Every figure is the best of the rounds (the machine may be shared); the passes take turns within a round.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from index.bulk import CPU_BATCH_TOKENS, TorchForward
from index.minilm import DIM, LAYERS, MiniLM, _installed

SPELLED = (
    "the a of and in to was is for on river mill lease contract year account board engine winter harbour letter paid "
    "signed burned rebuilt measured carried between before after council engineer ton wheat flood dam parish sold "
    "1912 1,480 12.5 agreement paragraph temperature unremarkable notwithstanding Żuławy Straße café"
)
WORDS = SPELLED.split()
SHAPES = [(3 * DIM, DIM), (DIM, DIM), (4 * DIM, DIM), (DIM, 4 * DIM)]  # (out, in) of the products of a layer
COLD = """
import resource, time
started = time.perf_counter()
from index.embed import open_embedder
open_embedder("minilm").encode(["Who signed the lease of the mill, and when?"])
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def texts_of(count: int, seed: int = 7) -> list[str]:
    """Sentences of random words, 100 to 125 word pieces a text, seeded."""
    chance = random.Random(seed)
    texts = []
    for _ in range(count):
        words = chance.choices(WORDS, k=chance.randint(74, 94))
        texts.append(" ".join(" ".join(words[at : at + 12]).capitalize() + "." for at in range(0, len(words), 12)))
    return texts


def best(rounds: int, jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest run of each job; the jobs take turns."""
    seconds = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds


def products(dtype) -> Callable[[], None]:
    """A job: torch's plain products of one batch of tokens in the shapes of the model, all layers."""
    import torch

    pairs = [(torch.ones(CPU_BATCH_TOKENS, k, dtype=dtype), torch.ones(n, k, dtype=dtype)) for n, k in SHAPES]

    def job() -> None:
        with torch.inference_mode():
            for x, w in pairs * LAYERS:
                torch.nn.functional.linear(x, w)

    return job


def flops(tokens: int) -> float:
    """Operations of the products with weights; attention adds 5 % at 110 tokens."""
    return 2.0 * tokens * LAYERS * sum(n * k for n, k in SHAPES)


def cold_process(runs: int = 5) -> None:
    taken, inside, memory = [], [], []
    for _ in range(runs):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
        taken.append(time.perf_counter() - started)
        values = [float(value) for value in done.stdout.split()]
        inside.append(values[0])
        memory.append(values[1])
    print(
        f"cold process, one question: {min(taken):.2f} s best, {statistics.median(taken):.2f} s median of {runs} "
        f"(import to vector {min(inside):.2f} s), {max(memory):.0f} MiB resident"
    )


def warm_question(model: MiniLM, runs: int = 200) -> None:
    questions = [f"Who {word} the lease of the mill in {1800 + n}?" for n, word in enumerate(WORDS)]
    taken = []
    for n in range(runs):
        started = time.perf_counter()
        model.encode([questions[n % len(questions)]])
        taken.append((time.perf_counter() - started) * 1000)
    pieces = statistics.mean(len(row) for row in model.pieces(questions))
    print(
        f"warm question of {pieces:.0f} pieces: p50 {np.percentile(taken, 50):.1f} ms, "
        f"p95 {np.percentile(taken, 95):.1f} ms, best {min(taken):.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the embedder.")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-sentence-transformers", action="store_true")
    options = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{platform.machine()}, {os.cpu_count()} cores, python {platform.python_version()}, load at start {load}")
    cold_process()
    model = MiniLM()
    warm_question(model)  # before torch is there: its threads and those of numpy disturb each other

    texts = texts_of(options.texts)
    pieces = model.pieces(texts)
    tokens = sum(map(len, pieces))
    print(f"{len(texts)} texts, {tokens / len(texts):.0f} pieces each")
    started = time.perf_counter()
    import torch

    print(f"import torch {time.perf_counter() - started:.2f} s (cached files), version {torch.__version__}")
    passes = {"numpy fp32": model.light}
    for precision in ("fp32", "bf16"):
        started = time.perf_counter()
        passes[f"torch {precision}"] = TorchForward(model._weights, precision)
        print(f"torch {precision} set up in {time.perf_counter() - started:.2f} s")
    print(f"the probe chooses {model.bulk.precision}")
    jobs = {name: (lambda run=run: run(pieces)) for name, run in passes.items()}
    if not options.skip_sentence_transformers:
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(_installed()), local_files_only=True)
        jobs["sentence-transformers"] = lambda: reference.encode(texts, show_progress_bar=False)
    plain = {"fp32": products(torch.float32), "bf16": products(torch.bfloat16)}
    seconds = best(options.rounds, {**jobs, **plain})
    rates = {name: flops(CPU_BATCH_TOKENS) / seconds.pop(name) for name in plain}
    print(f"plain products: fp32 {rates['fp32'] / 1e9:.0f}, bf16 {rates['bf16'] / 1e9:.0f} GFLOP/s")
    exact = model.light(pieces)
    for name, taken in seconds.items():
        rate = rates["bf16" if "bf16" in name else "fp32"]
        line = f"{name:22} {len(texts) / taken:6.1f} texts/s  {flops(tokens) / taken / rate:4.0%} of the products' rate"
        if name in passes:
            line += f"  lowest cosine to numpy {(passes[name](pieces) * exact).sum(axis=1).min():.6f}"
        print(line)


if __name__ == "__main__":
    main()
