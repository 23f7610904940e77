"""Load on `rag serve`: many clients search without pause. How fast, how evenly, any error, any leak; not how well.

usage: python benchmarks/serve_load.py [--clients 50] [--minutes 5] [--index DIR --gold gold.jsonl] [--work DIR]
Each client sends its next search as soon as it has the last reply, so that the server is always full. The clients are
one process on the same machine and take their share of its cores. Before and after, one thread asks the same questions
of the same index in a loop without a server: what one process can do. Figures stand in RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import httpx
import numpy as np

from rag import Rag


def questions(gold: Path) -> list[str]:
    return [json.loads(line)["question"] for line in gold.read_text("utf-8").splitlines() if line.strip()]


def in_process(folder: Path, asked: list[str], tokens: int, seconds: float) -> tuple[np.ndarray, float]:
    """Milliseconds of each search in one thread's loop, and those of CPU on average."""
    spent: list[float] = []
    with Rag(folder) as kb:
        for question in asked:
            kb.search(question, tokens=tokens)
        end, cpu = time.perf_counter() + seconds, time.process_time()
        while time.perf_counter() < end:
            began = time.perf_counter()
            kb.search(asked[len(spent) % len(asked)], tokens=tokens)
            spent.append(time.perf_counter() - began)
    return np.array(spent) * 1e3, (time.process_time() - cpu) / len(spent) * 1e3


async def hammer(url: str, asked: list[str], tokens: int, clients: int, seconds: float) -> None:
    """Print as JSON the milliseconds of each reply, and what was no reply."""
    spent: list[float] = []
    errors: list[str] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            at = number
            while time.perf_counter() < end:
                body = {"question": asked[at % len(asked)], "tokens": tokens}
                at += clients + 1
                began = time.perf_counter()
                try:
                    reply = await http.post("/search", json=body)
                    if reply.status_code != 200 or not reply.json()["passages"]:
                        errors.append(f"{reply.status_code}: {reply.text[:200]}")
                except httpx.HTTPError as error:
                    errors.append(repr(error))
                spent.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*map(client, range(clients)))
    print(json.dumps({"ms": [s * 1e3 for s in spent], "errors": errors, "seconds": time.perf_counter() - began}))


def vital(url: str) -> dict[str, float]:
    page = httpx.get(f"{url}/metrics").text
    return {
        name: float(re.search(rf"^{metric} (\S+)$", page, re.MULTILINE)[1])  # type: ignore[index]
        for name, metric in (
            ("MB", "process_resident_memory_bytes"),
            ("files", "process_open_fds"),
            ("cpu", "process_cpu_seconds_total"),
        )
    }


def row(name: str, spent: np.ndarray, seconds: float, errors: int) -> None:
    half, most, worst = np.percentile(spent, [50, 95, 99])
    rate = len(spent) / seconds
    print(
        f"| {name} | {len(spent)} | {errors} | {rate:.1f} | {half:.0f} | {most:.0f} | {worst:.0f} | {spent.max():.0f} |"
    )


def load(folder: Path, gold: Path, given: argparse.Namespace) -> None:
    asked = questions(gold)
    alone, cost = in_process(folder, asked, given.tokens, given.alone)
    command = [sys.executable, "-c", "from rag.cli import main; main()", "serve", "--index", str(folder), "--port", "0"]
    with subprocess.Popen(
        [*command, "--rate", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        while httpx.get(f"{url}/readyz").status_code != 200:
            time.sleep(0.2)
        for question in asked:
            httpx.post(f"{url}/search", json={"question": question, "tokens": given.tokens})
        before = vital(url)
        options = ["--hammer", url, "--clients", given.clients, "--minutes", given.minutes, "--tokens", given.tokens]
        run = [sys.executable, __file__, "--gold", gold, *options]
        done = subprocess.run([str(word) for word in run], capture_output=True, text=True, check=True)
        found, after = json.loads(done.stdout), vital(url)
        server.terminate()
    again, cost_after = in_process(folder, asked, given.tokens, given.alone)
    print("| | searches | errors | a second | p50 ms | p95 ms | p99 ms | most ms |\n|---|---|---|---|---|---|---|---|")
    row("one thread, no server, before", alone, alone.sum() / 1e3, 0)
    row(f"{given.clients} clients", np.array(found["ms"]), found["seconds"], len(found["errors"]))
    row("one thread, no server, after", again, again.sum() / 1e3, 0)
    cpu = after["cpu"] - before["cpu"]
    print(f"\nserver: {before['MB'] / 1e6:.0f} MB before, {after['MB'] / 1e6:.0f} MB after; open files "
          f"{before['files']:.0f} before, {after['files']:.0f} after; {cpu / found['seconds']:.2f} cores busy\n"
          f"CPU of a search: {cpu / len(found['ms']) * 1e3:.0f} ms in the server, {cost:.0f} and {cost_after:.0f} ms "
          "in a loop without one")  # fmt: skip
    for error in found["errors"][:5]:
        print("error:", error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--tokens", type=int, default=1000, help="budget of a search")
    parser.add_argument("--alone", type=float, default=20.0, help="seconds of each loop without a server")
    parser.add_argument("--index", type=Path, help="an index of your own (default: the sample corpus)")
    parser.add_argument("--gold", type=Path, help="questions, a JSON object a line")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks/load"), help="where the index is made")
    parser.add_argument("--hammer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sample = Path(str(files("evals") / "suites" / "sample"))
    gold = given.gold or sample / "gold.jsonl"
    if given.hammer:
        asyncio.run(hammer(given.hammer, questions(gold), given.tokens, given.clients, given.minutes * 60))
        return
    folder = given.index or given.work / "index"
    if given.index is None:
        with Rag(folder) as kb:
            kb.sync(sample / "docs")
    print(f"# {platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    load(folder, gold, given)


if __name__ == "__main__":
    main()
