"""Damage each file of an index in turn: what do a search, the doctor and a sync say, and does what they say repair it?

usage: python benchmarks/reliability/damage.py [--documents 150] [--only WORDS]
Each case works on a copy of one sound index, in child processes: a crash or a hang is a line of the table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world import forked, open_rag, prose, size_of, table, warm_up

from index.store import forget

LOST = "well but for the note"
QUESTIONS = ["banel kerus mitela", "lotel sunra", "tamo bara kesing", "misus lonel bata", "sutel tana", "typed note"]


@dataclass(frozen=True)
class Case:
    """`break_it(folder)` damages the copy; `mend` is done by a person before the advice (room is made, say).

    `takes_the_note`: the catalog cannot be read, and it was the only place of a text that has no file.
    """

    name: str
    break_it: Callable[[Path], object]
    mend: Callable[[Path], object] = lambda folder: None
    takes_the_note: bool = False


def search(folder: Path) -> list[Any]:
    with open_rag(folder) as kb:
        found = [[(p.doc, p.start, p.end, p.text) for p in kb.search(question, k=5)] for question in QUESTIONS]
    return list(json.loads(json.dumps(found)))


def doctor(folder: Path) -> list[Any]:
    with open_rag(folder) as kb:
        return [[check.name, check.ok, check.found, check.advice] for check in kb.verify()]


def sync(folder: Path, docs: Path) -> str:
    with open_rag(folder) as kb:
        return str(kb.sync(docs))


def rebuild_index(folder: Path, docs: Path) -> str:
    forget(folder)
    return sync(folder, docs)


def rebuild_chroma(folder: Path) -> int:
    with open_rag(folder) as kb:
        return kb.index.rebuild_vectors()


# Ways to damage a file


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def noise(file: Path) -> None:
    file.write_bytes(random.Random(7).randbytes(file.stat().st_size))


def middle(file: Path) -> None:
    """4,096 bytes of noise in the middle."""
    with file.open("r+b") as out:
        out.seek(file.stat().st_size // 2 // 4096 * 4096)
        out.write(random.Random(7).randbytes(4096))


def deleted(file: Path) -> None:
    file.unlink()


def leave_wal(folder: Path, docs: Path) -> None:
    """A process dies after a sync whose last transactions are still in the WAL."""
    pid = os.fork()
    if pid == 0:
        kb = open_rag(folder)
        hold = sqlite3.connect(folder / "catalog.sqlite3")
        hold.execute("BEGIN")
        hold.execute("SELECT count(*) FROM documents").fetchone()
        (docs / "late.txt").write_text("Of no interest.", "utf-8")
        kb.sync(docs)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (docs / "late.txt").unlink()


def cut_wal(folder: Path, docs: Path, how: Callable[[Path], None]) -> None:
    leave_wal(folder, docs)
    how(folder / "catalog.sqlite3-wal")


def dead_lock(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    held = {"pid": int(done.stdout), "host": socket.gethostname(), "since": "2020-01-01 00:00:00"}
    (folder / "lock.json").write_text(json.dumps(held), "utf-8")
    (folder / "lock").touch()


def full_disk(folder: Path) -> None:
    """The index moves to a tmpfs with hardly any room left."""
    _mount(folder, "-t", "tmpfs", "-o", f"size={size_of(folder) // 1024 + 400}k", "tmpfs")
    with contextlib.suppress(OSError):
        (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free))


def more_room(folder: Path) -> None:
    (folder / "filler").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)


def read_only(folder: Path) -> None:
    _mount(folder, "-t", "tmpfs", "tmpfs")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def writable(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def _mount(folder: Path, *options: str) -> None:
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    subprocess.run(["mount", *options, str(folder)], check=True)
    shutil.copytree(aside, folder, dirs_exist_ok=True)
    shutil.rmtree(aside)


def future(docs: Path) -> None:
    """The clock was a day ahead when files were written, and is right again: one file is edited now."""
    for path in docs.iterdir():
        os.utime(path, (time.time() + 86_400,) * 2)


def cases(base: Path, docs: Path) -> Iterator[Case]:
    for file in sorted(path for path in (base / "chroma").rglob("*") if path.is_file()):
        inside = file.relative_to(base)
        short = f"chroma/{file.name}"
        for how in (half, emptied, noise, middle, deleted):
            if file.stat().st_size or how is deleted:
                yield Case(f"{short} {how.__name__}", lambda folder, how=how, inside=inside: how(folder / inside))
    yield Case("chroma/ deleted", lambda folder: shutil.rmtree(folder / "chroma"))
    yield Case("chroma/ is a file", lambda f: (shutil.rmtree(f / "chroma"), (f / "chroma").write_bytes(b"x")))
    for name in ("catalog.sqlite3", "manifest.json"):
        for how in (half, emptied, noise, middle, deleted):
            if how is not middle or name != "manifest.json":
                takes = name == "catalog.sqlite3" and how is not middle
                act = lambda folder, how=how, name=name: how(folder / name)  # noqa: E731
                yield Case(f"{name} {how.__name__}", act, takes_the_note=takes)
    yield Case("manifest.json is a list", lambda folder: (folder / "manifest.json").write_text("[]"))
    yield Case("killed with a WAL", lambda folder: leave_wal(folder, docs))
    for how in (half, noise, deleted):
        yield Case(f"WAL {how.__name__}", lambda folder, how=how: cut_wal(folder, docs, how))
    yield Case("lock of a dead process", dead_lock)
    yield Case("lock.json noise", lambda folder: (dead_lock(folder), noise(folder / "lock.json")))
    if os.geteuid() == 0:
        yield Case("disk full", full_disk, more_room)
        yield Case("folder read-only", read_only, writable)
    yield Case("files from the future", lambda folder: future(docs))


@dataclass(frozen=True)
class Sound:
    """What searches find in the sound index, and in one of the same files without the note that was typed in.

    Of a catalog that cannot be read nothing brings back a text that has no file: the doctor says so beforehand.
    """

    found: list[Any]
    without_note: list[Any]


def said(result: dict[str, Any], sound: Sound) -> str:
    if "value" in result:
        if result["value"] == sound.found:
            return "as before"
        return "as before but for the note" if result["value"] == sound.without_note else "OTHER PASSAGES"
    return _failure(result)


def _failure(result: dict[str, Any]) -> str:
    if "signal" in result:
        return f"KILLED by signal {result['signal']}"
    return result.get("error") or "TRACEBACK " + str(result["traceback"]).strip().splitlines()[-1]


def repair(folder: Path, docs: Path, advice: str) -> tuple[str, dict[str, Any]]:
    """Do what the doctor, or an error, said."""
    if "doctor --rebuild" in advice and not advice.startswith("rag sync"):
        return "rag doctor --rebuild", forked(lambda: rebuild_chroma(folder))
    if "sync --rebuild" in advice:
        return "rag sync --rebuild", forked(lambda: rebuild_index(folder, docs))
    return "rag sync", forked(lambda: sync(folder, docs))


@contextlib.contextmanager
def damaged(case: Case, base: Path) -> Iterator[Path]:
    """A copy of the sound index with the damage done."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        shutil.copytree(base, folder, copy_function=shutil.copy2)  # times too: they tell what is as it was left
        try:
            case.break_it(folder)
            yield folder
        finally:
            if os.path.ismount(folder):
                subprocess.run(["umount", "-l", str(folder)], check=True)


def asked(case: Case, base: Path, docs: Path, sound: Sound) -> list[str]:
    """A search, then the doctor, then what it advises: what each said, and what is wrong at the end."""
    with damaged(case, base) as folder:
        during = said(forked(lambda: search(folder)), sound)
        told, advice = looked(folder)
        case.mend(folder)
        how, mended = repair(folder, docs, advice) if told != "all well" else ("", {"value": 0})
        steps = how if "value" in mended else f"{how}: {_failure(mended)}"
        return [during, told, steps or "nothing", ended(folder, docs, sound)]


def synced(case: Case, base: Path, docs: Path, sound: Sound) -> list[str]:
    """A sync without asking first, then what the doctor still finds: what each said, and what is wrong at the end."""
    with damaged(case, base) as folder:
        (docs / "more.txt").write_text("Of no interest.", "utf-8")
        tried = forked(lambda: sync_warned(folder, docs))
        (docs / "more.txt").unlink()
        tells = tried["value"] if "value" in tried else _failure(tried)
        case.mend(folder)
        told, advice = looked(folder)
        if told != "all well":
            how, mended = repair(folder, docs, advice)
            tells += f"; then {how}" if "value" in mended else f"; {how}: {_failure(mended)}"
        return [tells, ended(folder, docs, sound)]


def sync_warned(folder: Path, docs: Path) -> str:
    with open_rag(folder) as kb:
        return f"done; {'; '.join(kb.sync(docs).warnings)}".rstrip("; ")


def looked(folder: Path) -> tuple[str, str]:
    """What the doctor finds, and what it advises."""
    checked = forked(lambda: doctor(folder))
    if "value" not in checked:
        return _failure(checked), checked.get("error", "")
    bad = [line for line in checked["value"] if not line[1]]
    return "; ".join(f"{name}: {found}" for name, _, found, _ in bad) or "all well", bad[-1][3] if bad else ""


def ended(folder: Path, docs: Path, sound: Sound) -> str:
    """What is wrong after one more sync; "well" when nothing is and the searches find what they did."""
    last = forked(lambda: sync(folder, docs))
    told, _ = looked(folder)
    found = said(forked(lambda: search(folder)), sound)
    wrong = [_failure(last)] if "value" not in last else []
    wrong += [text for text, good in ((told, "all well"), (found, "as before")) if text != good]
    return "; ".join(wrong).replace("as before but for the note", LOST) or "well"


def run(case: Case, base: Path, docs: Path, sound: Sound) -> tuple[list[object], bool]:
    """One row of the table, and whether all was said in words and all is well at both ends."""
    row = [*asked(case, base, docs, sound), *synced(case, base, docs, sound)]
    good = {"well", LOST} if case.takes_the_note else {"well"}
    well = {row[3], row[5]} <= good and not any(word in f"{row}" for word in ("TRACEBACK", "KILLED"))
    return [case.name, *row], well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=150)
    parser.add_argument("--only", default="", help="cases whose name holds these words")
    parser.add_argument("--width", type=int, default=60, help="characters a cell of the table")
    args = parser.parse_args()
    warm_up()
    with tempfile.TemporaryDirectory() as scratch:
        base, docs = Path(scratch) / "index", Path(scratch) / "docs"
        docs.mkdir()
        rng = random.Random(1)
        for number in range(args.documents):
            (docs / f"doc-{number:04}.txt").write_text(prose(rng, 60), "utf-8")
        made = forked(lambda: (sync(base, docs), _note(base))[0])
        print(made.get("value") or _failure(made))
        anew = Path(scratch) / "anew"
        forked(lambda: sync(anew, docs))
        sound = Sound(forked(lambda: search(base))["value"], forked(lambda: search(anew))["value"])
        rows, wrong = [], 0
        for case in cases(base, docs):
            if args.only in case.name:
                print(f"{case.name} ...", end="\r", file=sys.stderr, flush=True)
                row, well = run(case, base, docs, sound)
                rows.append(row)
                wrong += not well
    table(
        ["damage", "search meanwhile", "the doctor", "repaired by", "then", "or a sync at once", "then"],
        rows,
        args.width,
    )
    print(f"\n{len(rows)} kinds of damage, {wrong} that crashed a command or were not repaired by what was said")
    return 1 if wrong else 0


def _note(folder: Path) -> None:
    with open_rag(folder) as kb:
        kb.add("A typed note about lighthouses.", "note")


if __name__ == "__main__":
    sys.exit(main())
