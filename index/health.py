"""What `verify` looks at: the folder, the manifest, the catalog and Chroma, each with what to type. Repairs nothing.

Chroma can kill the process that opens a damaged folder, so a child process looks at it (`python -m index.health`, one
JSON object in, one out). The catalog is opened for reading only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from index import child
from index.catalog import open_read_only
from index.collection import Collection
from index.errors import IndexDamagedError, IndexLockedError, IndexMissingError, RagError
from index.lock import holder, write_lock
from index.vectors import PART, ChromaVectors, part_of

REBUILD_CHROMA = "rag doctor --rebuild"
REBUILD_INDEX = "rag sync --rebuild FOLDER"
# Records whose vector and text are compared with the catalog's, evenly spread.
_SAMPLED = 1000
# Seconds for Chroma to open its folder, and for each thousand records: a hundred times what a sound one needs.
_LIMIT, _LIMIT_A_THOUSAND = 60.0, 1.0
# One import of Chroma, about a second, serves so many.
_PARTS_A_CHILD = 16


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that `verify` looked at."""

    name: str
    ok: bool
    found: str
    advice: str = ""


@dataclass(slots=True)
class Sample:
    """Some chunks as the catalog has them: ids, texts, vectors (n, d) float16."""

    ids: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)


def verify(folder: Path, chroma: ChromaVectors) -> list[Check]:
    """Look at every part of an index. Raises IndexMissingError when there is none, else nothing for damage found."""
    catalog = folder / "catalog.sqlite3"
    if not (folder / "manifest.json").exists() and not catalog.exists():
        raise IndexMissingError(f"There is no index at {folder}. Make one: rag sync FOLDER")
    room = check_folder(folder)
    with _lock(folder, room) as lock:
        checks = [room, _check_manifest(folder / "manifest.json"), lock]
        ids: list[int] = []
        sample = Sample()
        try:
            with contextlib.closing(_open(catalog)) as db:
                db.execute("BEGIN")  # one version for all checks
                checks.append(_check_pages(db))
                checks += _check_tables(db, ids, sample)
                interrupted = bool(_first(db, "SELECT max(value) FROM state WHERE key = 'unsettled'"))
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            advice = rebuild_advice(catalog) if room.ok else room.advice
            return [*checks, Check("catalog", False, f"cannot be read ({error})", advice)]
        if lock.ok:
            found = check_chroma(chroma.folder, chroma.url, ids, sample, interrupted=interrupted)
        else:
            found = Check("chroma", False, "not looked at: it needs the lock", lock.advice)
    return [*checks, found]


# The folder


def check_folder(folder: Path) -> Check:
    """Whether a file can be written there, and how much room is left."""
    probe = folder / f"probe-{os.getpid()}"
    try:
        try:
            with probe.open("wb") as file:
                file.write(bytes(1 << 16))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        return Check("folder", False, f"{folder} cannot be written to: {reason}", "make room or leave to write there")
    return Check("folder", True, f"can be written to; {shutil.disk_usage(folder).free / 1e9:.1f} GB free")


def _check_manifest(file: Path) -> Check:
    try:
        manifest = json.loads(file.read_text("utf-8"))
        missing = [key for key in ("schema", "embedder", "chunk_tokens") if key not in manifest]
    except FileNotFoundError:
        return Check("manifest", False, "missing; how the index was made is unknown", rebuild_advice(file))
    except (OSError, ValueError, TypeError) as error:
        return Check("manifest", False, f"cannot be read ({error})", rebuild_advice(file))
    found = f"lacks {', '.join(missing)}" if missing else f"made with {manifest['embedder']}"
    return Check("manifest", not missing, found, rebuild_advice(file) if missing else "")


@contextlib.contextmanager
def _lock(folder: Path, room: Check) -> Iterator[Check]:
    """The index's lock for as long as the block runs, or why it cannot be had."""
    if not room.ok:
        yield Check("lock", False, "cannot be taken: the folder cannot be written to", room.advice)
        return
    left = holder(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(write_lock(folder))
        except IndexLockedError:
            found = Check("lock", False, f"{left or 'another process'} is writing", "rag doctor, when it is done")
        except RagError as error:
            found = Check("lock", False, f"cannot be taken: {error}", "leave to write there")
        else:
            found = Check("lock", True, f"free; {left} died while writing" if left else "free")
        yield found


# The catalog


def _open(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise FileNotFoundError("it is missing")
    return open_read_only(file)


def _first(db: sqlite3.Connection, query: str) -> Any:
    return db.execute(query).fetchone()[0]


def _check_pages(db: sqlite3.Connection) -> Check:
    state = str(_first(db, "PRAGMA integrity_check(1)"))
    return Check("catalog", state == "ok", " ".join(state.split()), "" if state == "ok" else rebuild_advice(db))


def _check_tables(db: sqlite3.Connection, ids: list[int], sample: Sample) -> Iterator[Check]:
    """Whether the tables agree with each other; fills in the ids of all chunks and a sample of them."""
    ids += [id for (id,) in db.execute("SELECT id FROM chunks ORDER BY id")]
    chosen = {ids[int(at)] for at in np.linspace(0, len(ids) - 1, min(_SAMPLED, len(ids)))}
    bad, strays = 0, _first(db, "SELECT count(*) FROM chunks WHERE document NOT IN (SELECT id FROM documents)")
    for number, text, pages in db.execute("SELECT id, text, pages FROM documents"):
        spans = json.loads(pages)
        rows = db.execute("SELECT id, start, end, page FROM chunks WHERE document = ?", (number,))
        for id, start, end, page in rows:
            low, high = spans[page - 1] if page and page <= len(spans) else (0, len(text))
            bad += not low <= start < end <= high or bool(page and page > len(spans))
            if id in chosen:
                sample.ids.append(id)
                sample.texts.append(text[start:end])
    advice = rebuild_advice(db)
    found = f"{bad} of {len(ids)} chunks lie outside their text or page, {strays} belong to no document"
    yield Check("spans", bad + strays == 0, found, advice)
    yield _check_vectors(db, sample, advice)
    terms = {id for (id,) in db.execute("SELECT rowid FROM lexicon")}
    _first(db, "SELECT sum(cnt) FROM vocabulary")  # walks the whole lexicon; a damaged one raises
    yield Check("lexicon", terms == set(ids), f"{len(terms)} entries for {len(ids)} chunks", advice)


def _check_vectors(db: sqlite3.Connection, sample: Sample, advice: str) -> Check:
    lost = _first(db, "SELECT count(*) FROM chunks WHERE vector NOT IN (SELECT key FROM vectors)")
    sizes: set[int] = set()
    broken = 0
    for (blob,) in db.execute("SELECT vector FROM vectors"):
        sizes.add(len(blob))
        broken += not np.isfinite(np.frombuffer(blob[: len(blob) // 2 * 2], np.float16)).all()
    if lost or len(sizes) > 1:
        sample.ids, sample.texts = [], []  # nothing to compare Chroma with
    else:
        query = "SELECT v.vector FROM chunks c JOIN vectors v ON v.key = c.vector WHERE c.id = ?"
        sample.vectors += [db.execute(query, (id,)).fetchone()[0] for id in sample.ids]
    found = f"{lost} chunks without a vector, {broken} vectors with a value that is no number"
    if len(sizes) > 1:
        found += f", vectors of {len(sizes)} lengths"
    return Check("vectors", not lost and not broken and len(sizes) <= 1, found, advice)


def rebuild_advice(where: Path | sqlite3.Connection) -> str:
    """How to make the index anew, and what that cannot bring back: text that has no file, where it cannot be read."""
    lost: list[str] = []
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(where, Path):
                where = stack.enter_context(contextlib.closing(_open(where.with_name("catalog.sqlite3"))))
            for (doc,) in where.execute("SELECT doc FROM documents WHERE path IS NULL ORDER BY doc").fetchall():
                try:
                    where.execute("SELECT text, pages, meta FROM documents WHERE doc = ?", (doc,)).fetchone()
                except sqlite3.Error:
                    lost.append(str(doc))
    except (sqlite3.Error, OSError):
        return f"{REBUILD_INDEX} (documents that were added from memory are lost: add them again)"
    if not lost:
        return REBUILD_INDEX
    names = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
    return f"{REBUILD_INDEX} (added from memory, to be added again: {names})"


# Chroma


def check_chroma(
    folder: Path,
    url: str | None,
    ids: Iterable[int] | None = None,
    sample: Sample | None = None,
    *,
    interrupted: bool = False,
    limit: float | None = None,
) -> Check:
    """Open each part of Chroma in a child process: it answers, holds exactly `ids` (None: any), finds all.

    A crash and a silence of more than `limit` seconds are findings too; after an `interrupted` writer a sync
    mends a difference in ids. The caller holds the index's lock.
    """
    wanted: dict[int, list[int]] = {}
    for id in ids or ():
        wanted.setdefault(part_of(id), []).append(id)
    try:
        chroma = ChromaVectors(folder, url)
        parts = sorted({*chroma.parts(), *wanted}) or [0]
        chroma.close()
    except RagError as error:
        return Check("chroma", False, str(error), "rag sync, once Chroma can be reached")
    known = None if ids is None else {part: wanted.get(part, []) for part in parts}
    found = check_parts(folder, url, parts, known, sample, interrupted=interrupted, limit=limit)
    bad = [f"part {part + 1}: {check.found}" for part, check in found.items() if not check.ok]
    if len(parts) == 1 or not bad:
        first = next(iter(found.values()))
        if len(parts) == 1:
            return first
        return Check("chroma", True, f"{len(parts)} parts; the records of each can be found", "")
    advice = REBUILD_CHROMA if any(c.advice == REBUILD_CHROMA for c in found.values()) else "rag sync"
    return Check("chroma", False, f"{len(bad)} of {len(parts)} parts are not sound; {'; '.join(bad[:5])}", advice)


def check_parts(
    folder: Path,
    url: str | None,
    parts: Sequence[int],
    ids: Mapping[int, Sequence[int]] | None = None,
    sample: Sample | None = None,
    *,
    interrupted: bool = False,
    limit: float | None = None,
) -> dict[int, Check]:
    """What `check_chroma` finds in each of the parts. One child looks at many; a crash costs the part it was at."""
    sample = sample or Sample()
    found: dict[int, Check] = {}
    for at in range(0, len(parts), _PARTS_A_CHILD):
        waiting = list(parts[at : at + _PARTS_A_CHILD])
        while waiting:
            questions = [_question(part, None if ids is None else ids[part], sample) for part in waiting]
            records = PART * len(waiting) if ids is None else sum(len(ids[part]) for part in waiting)
            seconds = limit or _LIMIT + _LIMIT_A_THOUSAND * records / 1000
            asked = {"folder": str(folder), "url": url, "interrupted": interrupted, "parts": questions}
            checks, stopped = _asked(asked, seconds)
            found.update(zip(waiting, checks, strict=False))
            waiting = waiting[len(checks) :]
            if waiting:
                found[waiting.pop(0)] = Check("chroma", False, stopped, REBUILD_CHROMA)
    return found


def _question(part: int, ids: Sequence[int] | None, sample: Sample) -> dict[str, Any]:
    own = [at for at, id in enumerate(sample.ids) if part_of(id) == part]
    return {
        "part": part,
        "ids": None if ids is None else sorted(ids),
        "sample": [sample.ids[at] for at in own],
        "texts": [sample.texts[at] for at in own],
        "vectors": base64.b64encode(b"".join(sample.vectors[at] for at in own)).decode("ascii"),
    }


def _asked(question: dict[str, Any], limit: float) -> tuple[list[Check], str]:
    """The answers of a child to as many parts as it came to, and what stopped it at the next."""
    # Into a file: of a child that is killed for its silence, what it had said before counts.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            done = subprocess.run(
                child.command("index.health"),
                input=json.dumps(question).encode(), env=child.environment(),
                stdout=said, stderr=subprocess.PIPE, timeout=limit, check=False,
            )  # fmt: skip
            lines = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1:]
            stopped = f"looking at it failed with status {done.returncode}: {lines[0]}"
            if done.returncode < 0:
                stopped = f"Chroma crashed on its files (signal {-done.returncode})"
        except subprocess.TimeoutExpired:
            stopped = f"Chroma did not answer within {limit:.0f} s"
        said.seek(0)
        checks: list[Check] = []
        for line in said:
            try:
                answer = json.loads(line)
                advice = "" if answer["ok"] else str(answer["advice"])
                checks.append(Check("chroma", bool(answer["ok"]), str(answer["found"]), advice))
            except (ValueError, KeyError, TypeError):  # half a line, or what a library printed
                continue
    return checks, stopped


def _look(folder: Path, url: str | None, interrupted: bool, question: dict[str, Any]) -> tuple[bool, str, str]:
    part = ChromaVectors(folder, url).part(question["part"])
    try:
        return _look_at(part, interrupted, question)
    finally:
        part.close()


def _look_at(part: Collection, interrupted: bool, question: dict[str, Any]) -> tuple[bool, str, str]:
    file = part.folder / "chroma.sqlite3"
    made = part.url is not None or part.folder.is_file() or file.exists()  # looking must not make a new one
    if part.url is None and file.exists():
        with contextlib.closing(_open(file)) as db:
            state = str(_first(db, "PRAGMA quick_check(1)"))
        if state != "ok":
            return False, f"chroma.sqlite3: {' '.join(state.split())}", REBUILD_CHROMA
    if cut := part.cut():
        return False, f"shorter than they were left: {', '.join(cut)}", REBUILD_CHROMA
    have = part.ids() if made else set()
    want = have if question["ids"] is None else set(question["ids"])
    if have != want:
        found = (
            f"{len(have)} records for {len(want)} chunks: {len(want - have)} missing, {len(have - want)} of no chunk"
        )
        if interrupted:
            return False, f"{found}; a writer was interrupted", "rag sync"
        return False, found, REBUILD_CHROMA
    if not have:
        return True, "no records, no chunks", ""
    stored = part.stored(question["sample"] or sorted(have)[:1])
    wrong = sum(not same for same in _compare(question, stored)) if question["sample"] else 0
    if wrong:
        return False, f"{wrong} of {len(question['sample'])} records differ from the catalog", REBUILD_CHROMA
    reach = len(part.nearest(next(iter(stored.values()))[0], len(have)))
    # Not quite all: a sound graph of Chroma's may leave one in a thousand where no path leads.
    return len(have) - reach <= len(have) // 100, f"{reach} of {len(have)} records can be found", REBUILD_CHROMA


def _compare(question: dict[str, Any], stored: dict[int, tuple[np.ndarray, str]]) -> Iterator[bool]:
    """Whether each record of the sample has the catalog's text and, but for rounding to 16 bits, its vector."""
    rows = np.frombuffer(base64.b64decode(question["vectors"]), np.float16).astype(np.float32)
    rows = rows.reshape(len(question["sample"]), -1)
    for id, text, row in zip(question["sample"], question["texts"], rows, strict=True):
        vector, kept = stored.get(id, (np.zeros(0, np.float32), ""))
        scale = float(np.linalg.norm(vector) * np.linalg.norm(row))
        yield kept == text and vector.shape == row.shape and float(vector @ row) >= 0.999 * scale


def _child() -> None:
    asked = json.load(sys.stdin)
    for question in asked["parts"]:
        try:
            ok, found, advice = _look(Path(asked["folder"]), asked["url"], asked["interrupted"], question)
            answer = {"ok": ok, "found": found, "advice": advice}
        except (IndexDamagedError, sqlite3.DatabaseError) as error:
            answer = {"ok": False, "found": str(error), "advice": REBUILD_CHROMA}
        except RagError as error:  # no server, no room: nothing is damaged
            answer = {"ok": False, "found": str(error), "advice": "rag sync, once Chroma can be reached"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()  # the next part may crash


if __name__ == "__main__":
    _child()
