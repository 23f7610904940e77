"""kill -9 at random moments of sync, add, change and remove, then: is anything lost, mixed up or left behind?

usage: python benchmarks/reliability/kills.py [--kills 100] [--files 60] [--seed 1]
A child works on one index and notes each operation, fsynced, before it begins and after it returned; it is killed; then
the index must (1) hold each document whole, as it was before or after the operation that was cut, (2) answer `verify`
cleanly, at the latest after one more sync, (3) equal a new index of the same files and texts, chunk for chunk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from world import differences, dump, forked, fresh, open_rag, prose, table, warm_up

State = dict[str, str]
Dump = dict[str, Any]


class Journal:
    """What the worker was told to do and what was acknowledged, on disk before anything else happens."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def note(self, **line: Any) -> None:
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def moved(self) -> set[str]:
        """Names that a file was ever renamed to."""
        return {
            name for line in self.file.read_text("utf-8").splitlines() for name in json.loads(line).get("moved", ())
        }

    def read(self) -> tuple[State, State, dict[str, Any] | None]:
        """Texts that files and added documents had when last acknowledged, and the operation that was cut, if any."""
        files: State = {}
        added: State = {}
        cut = None
        for line in self.file.read_text("utf-8").splitlines() if self.file.exists() else ():
            entry = json.loads(line)
            if entry["what"] == "done":
                assert cut is not None
                files, added = _after(files, added, cut)
                cut = None
            elif entry["what"] == "state":
                files, added, cut = entry["files"], entry["added"], None
            else:
                cut = entry
        return files, added, cut


def _after(files: State, added: State, entry: dict[str, Any]) -> tuple[State, State]:
    files, added = dict(files), dict(added)
    if entry["what"] == "sync":
        files = entry["files"]
    elif entry["what"] == "add":
        added[entry["doc"]] = entry["text"]
    else:
        files.pop(entry["doc"], None)
        added.pop(entry["doc"], None)
    return files, added


def on_disk(docs: Path) -> State:
    return {path.name: path.read_text("utf-8") for path in sorted(docs.iterdir())}


def work(folder: Path, docs: Path, journal: Journal, seed: int, files: int) -> None:
    """Operate until killed."""
    rng = random.Random(seed)
    with open_rag(folder) as kb:
        while True:
            what = rng.choice(["sync", "sync", "sync", "add", "remove"])
            if what == "sync":
                moved = [edit(rng, docs, files) for _ in range(rng.randint(1, files // 3))]
                journal.note(what="sync", files=on_disk(docs), moved=[name for name in moved if name])
                kb.sync(docs)
            elif what == "add":
                doc, text = f"note-{rng.randrange(5)}", prose(rng, rng.randint(1, 40))
                journal.note(what="add", doc=doc, text=text)
                kb.add(text, doc)
            else:
                names = [info.doc for info in kb.documents()]
                if len(names) < files // 3:
                    continue
                doc = rng.choice(names)
                (docs / doc).unlink(missing_ok=True)
                journal.note(what="remove", doc=doc)
                kb.remove(doc)
            journal.note(what="done")


def edit(rng: random.Random, docs: Path, files: int) -> str:
    """Write, change, rename or delete one file, each at once: what is cut is the sync, not the editor.

    Returns the name that a file was renamed to, if any.
    """
    path = docs / f"file-{rng.randrange(files):02}.txt"
    choice = rng.random()
    if choice < 0.15 and path.exists():
        path.unlink()
    elif choice < 0.25 and path.exists():
        name = f"file-{rng.randrange(files):02}.txt"
        os.replace(path, docs / name)
        return name
    else:
        text = path.read_text("utf-8") if path.exists() and rng.random() < 0.6 else ""
        part = docs.parent / "part"
        part.write_text(text[: rng.randint(0, 2000)] + prose(rng, rng.randint(1, 60)), "utf-8")
        os.replace(part, path)
    return ""


def inspect(folder: Path, docs: Path, journal: Journal) -> dict[str, Any]:
    """Everything that is checked after a kill; "wrong" stays empty when all is well."""
    files, added, cut = journal.read()
    after_files, after_added = _after(files, added, cut) if cut else (files, added)
    wrong: list[str] = []
    with open_rag(folder) as kb:
        if not kb.index.exists():
            found: dict[str, Any] = {}
            wrong += ["the index is gone"] if files or added else []
        else:
            found = {doc: one["text"] for doc, one in dump(kb.index).items() if doc}
            wrong += versions(found, files | added, after_files | after_added)
            memory = {doc: text for doc, text in found.items() if doc.startswith("note-")}
            whole = fresh({doc: text for doc, text in found.items() if doc not in memory}, memory)
            wrong += [f"before the sync: {line}" for line in compared(dump(kb.index), whole, journal)]
            for passage in kb.search("banel kerus mitela", k=20) if found else ():
                if passage.text != found[passage.doc][passage.start : passage.end]:
                    wrong.append(f"search shows what {passage.doc} does not hold")
        clean = kb.index.exists() and all(check.ok for check in kb.verify())
        kb.sync(docs)
        wrong += [f"after the sync: {check.name}: {check.found}" for check in kb.verify() if not check.ok]
        now = dump(kb.index)
        memory = {doc: now[doc]["text"] for doc in now if doc.startswith("note-")}
        wrong += [f"after the sync: {line}" for line in compared(now, fresh(on_disk(docs), memory), journal)]
    journal.note(what="state", files=on_disk(docs), added=memory)
    return {"cut": cut["what"] if cut else "between", "clean": clean, "wrong": wrong}


def compared(one: Dump, two: Dump, journal: Journal) -> list[str]:
    """Differences; a renamed file keeps the vectors it was embedded with under its old name, so those do not count."""
    for side in (one, two):
        for doc in journal.moved() & side.keys():
            side[doc]["chunks"] = [chunk[:-1] for chunk in side[doc]["chunks"]]
    return differences(one, two)


def versions(found: State, before: State, after: State) -> list[str]:
    """A document may be as before or as after the operation that was cut, and nothing else."""
    wrong = []
    for doc in sorted({*found, *before, *after}):
        if found.get(doc) not in (before.get(doc), after.get(doc)):
            wrong.append(f"{doc} is neither as before nor as after ({'absent' if doc not in found else 'other text'})")
    return wrong


def killed(folder: Path, docs: Path, journal: Journal, seed: int, args: argparse.Namespace) -> None:
    """Let a child work for a random time, then kill it."""
    pid = os.fork()
    if pid == 0:
        try:
            work(folder, docs, journal, seed, args.files)
        finally:
            os._exit(1)
    time.sleep(random.Random(seed + 10**6).uniform(0.02, args.longest))
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        raise SystemExit(f"the worker ended by itself with status {status}: see above")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="a child lives at most so long")
    args = parser.parse_args()
    warm_up()
    seen: Counter[str] = Counter()
    dirty: Counter[str] = Counter()
    bad: list[list[object]] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder, docs = Path(scratch) / "index", Path(scratch) / "docs"
        docs.mkdir()
        journal = Journal(Path(scratch) / "journal")
        for number in range(args.kills):
            seed = args.seed * 100_000 + number
            killed(folder, docs, journal, seed, args)
            result = forked(lambda: inspect(folder, docs, journal))
            value = result.get("value", {"cut": "?", "clean": False, "wrong": [json.dumps(result)]})
            seen[value["cut"]] += 1
            dirty[value["cut"]] += not value["clean"]
            bad += [[number, value["cut"], line] for line in value["wrong"]]
        done = journal.file.read_text("utf-8").count('"done"')
    rows = [[what, seen[what], seen[what] - dirty[what], dirty[what]] for what in sorted(seen)]
    table(["killed during", "kills", "verify clean at once", "clean after one sync"], rows)
    seconds = time.perf_counter() - began
    print(f"\n{args.kills} kills and {done} operations acknowledged in {seconds:.0f} s; {len(bad)} things wrong")
    if bad:
        table(["kill", "during", "what was wrong"], bad, 160)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
