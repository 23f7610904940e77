"""Four processes on one index: two search in a loop, one changes documents and syncs, one tries to sync meanwhile.

usage: python benchmarks/reliability/processes.py [--seconds 600] [--documents 40]
Every sentence of a document carries the token of its version. A search is wrong when it shows two versions of one, or
a version that was replaced by a sync that had returned more than a second before the search began.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from world import open_rag, prose, table, warm_up

from index.errors import IndexLockedError, RagError

LATE = 1.0  # seconds after which a search must see a commit
_TOKEN = re.compile(r"\bd(\d{3})v(\d{5})\b")


def write_version(docs: Path, number: int, version: int, rng: random.Random) -> None:
    part = docs.parent / f"part-{os.getpid()}"
    token = f"d{number:03} d{number:03}v{version:05}"
    part.write_text(prose(rng, rng.randint(20, 40), token), "utf-8")
    os.replace(part, docs / f"doc-{number:03}.txt")


def search(folder: Path, log: Callable[..., None], until: float, seed: int, documents: int) -> None:
    rng = random.Random(seed)
    with open_rag(folder) as kb:
        while time.time() < until:
            began = time.time()
            try:
                found = kb.search(f"what does d{rng.randrange(documents):03} say of banel kerus", k=20)
            except RagError as error:
                log(began=began, error=f"{type(error).__name__}: {error}")
                continue
            seen: dict[str, set[int]] = defaultdict(set)
            for passage in found:
                for number, version in _TOKEN.findall(passage.text):
                    seen[number].add(int(version))
            log(began=began, seen={number: sorted(versions) for number, versions in seen.items()})


def change(folder: Path, docs: Path, log: Callable[..., None], until: float, documents: int) -> None:
    rng = random.Random(5)
    version: Counter[int] = Counter()
    with open_rag(folder) as kb:
        while time.time() < until:
            changed = rng.sample(range(documents), max(1, documents // 8))
            for number in changed:
                version[number] += 1
                write_version(docs, number, version[number], rng)
            while True:
                try:
                    kb.sync(docs)
                    break
                except IndexLockedError:
                    log(locked=True)
                    time.sleep(0.05)
            log(at=time.time(), versions={f"{number:03}": version[number] for number in changed})


def disturb(folder: Path, docs: Path, log: Callable[..., None], until: float) -> None:
    with open_rag(folder) as kb:
        while time.time() < until:
            try:
                kb.sync(docs)
                log(synced=True)
            except IndexLockedError as error:
                log(sentence=re.sub(r"\d+", "N", str(error).replace(str(folder), "INDEX")))
            time.sleep(0.2)


def start(file: Path, work: Callable[[Callable[..., None]], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with file.open("w", encoding="utf-8") as out:

            def log(**line: Any) -> None:
                out.write(json.dumps(line) + "\n")

            work(log)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def judge(searches: list[dict[str, Any]], commits: list[dict[str, Any]]) -> tuple[int, int]:
    """Searches that show two versions of a document, and searches that show one replaced more than LATE before."""
    mixed = stale = 0
    for one in searches:
        mixed += any(len(versions) > 1 for versions in one["seen"].values())
        known: dict[str, int] = {}
        for commit in commits:
            if commit["at"] + LATE < one["began"]:
                known.update(commit["versions"])
        stale += any(min(versions) < known.get(number, 0) for number, versions in one["seen"].items())
    return mixed, stale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--documents", type=int, default=40)
    args = parser.parse_args()
    warm_up()
    with tempfile.TemporaryDirectory() as scratch:
        folder, docs = Path(scratch) / "index", Path(scratch) / "docs"
        docs.mkdir()
        rng = random.Random(1)
        for number in range(args.documents):
            write_version(docs, number, 0, rng)
        first = start(Path(scratch) / "first", lambda log: log(done=str(open_rag(folder).sync(docs))))
        os.waitpid(first, 0)
        until = time.time() + args.seconds
        works: dict[str, Callable[[Callable[..., None]], None]] = {
            "search 1": lambda log: search(folder, log, until, 1, args.documents),
            "search 2": lambda log: search(folder, log, until, 2, args.documents),
            "change": lambda log: change(folder, docs, log, until, args.documents),
            "disturb": lambda log: disturb(folder, docs, log, until),
        }
        pids = {name: start(Path(scratch) / name, work) for name, work in works.items()}
        status = {name: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for name, pid in pids.items()}
        said = {name: lines(Path(scratch) / name) for name in works}
        last = start(Path(scratch) / "last", lambda log: log(bad=_verify(folder, docs)))
        os.waitpid(last, 0)
        (end,) = lines(Path(scratch) / "last")
    return report(said, status, end["bad"])


def _verify(folder: Path, docs: Path) -> list[str]:
    with open_rag(folder) as kb:
        kb.sync(docs)
        return [f"{check.name}: {check.found}" for check in kb.verify() if not check.ok]


def report(said: dict[str, list[dict[str, Any]]], status: dict[str, int], bad: list[str]) -> int:
    commits = [line for line in said["change"] if "at" in line]
    rows: list[list[object]] = []
    wrong = sum(map(bool, status.values())) + len(bad)
    for name in ("search 1", "search 2"):
        searches = [line for line in said[name] if "seen" in line]
        errors = [line["error"] for line in said[name] if "error" in line]
        mixed, stale = judge(searches, commits)
        rows.append([name, len(searches), len(errors), mixed, stale, len({json.dumps(s["seen"]) for s in searches})])
        wrong += len(errors) + mixed + stale + (not searches)
        for error in sorted(set(errors)):
            print(f"{name}: {error}")
    table(["process", "searches", "errors", "mixtures", "stale", "different answers"], rows)
    held = Counter(line["sentence"] for line in said["disturb"] if "sentence" in line)
    synced = sum("synced" in line for line in said["disturb"])
    locked = sum("locked" in line for line in said["change"])
    print(f"\nfirst writer: {len(commits)} syncs, {locked} times told to wait")
    print(f"second writer: {synced} syncs, {held.total()} times told to wait:")
    for sentence, count in held.items():
        print(f"  {count} x {sentence}")
    print(f"exit codes {status}; verify at the end: {'; '.join(bad) or 'clean'}")
    return 1 if wrong or not commits else 0


if __name__ == "__main__":
    sys.exit(main())
