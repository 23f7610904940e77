"""A writer that is killed at each step of its work, and small runs of the scripts in benchmarks/reliability."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "reliability"))

from processes import judge
from world import differences, dump, fresh, open_rag, prose

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks" / "reliability"

# Kills itself when it comes to the given point: before or after the nth call of a method.
_WRITER = """
import os, signal, sys
from pathlib import Path
import index.sync
from world import WordHash, open_rag
from index.catalog import Catalog
from index.vectors import ChromaVectors

folder, docs, owner, method, moment, count = sys.argv[1:]
index.sync._BATCH_RECORDS = 1  # so that a rebuild has a middle
owner = {"Catalog": Catalog, "ChromaVectors": ChromaVectors, "WordHash": WordHash}[owner]
plain, calls = getattr(owner, method), []

def killed(*arguments, **more):
    calls.append(1)
    if moment == "before" and len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    result = plain(*arguments, **more)
    if moment == "after" and len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

with open_rag(Path(folder)) as kb:
    setattr(owner, method, killed)
    kb.index.rebuild_vectors() if method == "reset" or count == "2" else kb.sync(Path(docs))
"""
POINTS = [
    ("WordHash", "encode", "before", 1),
    ("ChromaVectors", "upsert", "before", 1),
    ("ChromaVectors", "upsert", "after", 1),
    ("Catalog", "_insert", "after", 1),  # in the middle of the transaction
    ("Catalog", "replace", "after", 1),
    ("ChromaVectors", "delete", "after", 1),
    ("Catalog", "settle", "before", 1),
    ("ChromaVectors", "reset", "after", 1),  # the collection is gone
    ("ChromaVectors", "upsert", "after", 2),  # half of it is back
]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(ROOT)])}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[1]}-{point[2]}-{point[3]}")
def test_a_writer_killed_at_any_point_leaves_old_or_new_and_the_next_sync_the_rest(
    tmp_path: Path, point: tuple[str, str, str, int]
) -> None:
    rng = random.Random(1)
    folder, docs = tmp_path / "kb", tmp_path / "docs"
    docs.mkdir()
    old = {f"{name}.txt": prose(rng, 30) for name in "abcd"}
    for name, text in old.items():
        (docs / name).write_text(text, "utf-8")
    with open_rag(folder) as kb:
        kb.sync(docs)
        kb.add("A note that was typed in.", "note")
    new = {**old, "b.txt": prose(rng, 20), "e.txt": prose(rng, 10)}
    del new["c.txt"]
    (docs / "c.txt").unlink()
    for name, text in new.items():
        (docs / name).write_text(text, "utf-8")
    assert run("-c", _WRITER, folder, docs, *point).returncode == -9

    note = {"note": "A note that was typed in."}
    with open_rag(folder) as kb:
        seen = dump(kb.index)
        texts = {name: one["text"] for name, one in seen.items() if name not in ("", "note")}
        # Removals come last, so that for a moment c.txt is there beside the new versions.
        assert texts in (old, {**old, **new}, new)
        assert differences(seen, fresh(texts, note)) == []
        kb.sync(docs)
        assert [check.found for check in kb.verify() if not check.ok] == []
        assert differences(dump(kb.index), fresh(new, note)) == []


@pytest.mark.parametrize(
    ("script", "arguments", "last"),
    [
        ("kills.py", "--kills 2 --files 9 --longest 0.9", "0 things wrong"),
        (
            "damage.py",
            "--documents 5 --only lock.json",
            "0 that crashed a command or were not repaired by what was said",
        ),
        ("processes.py", "--seconds 2 --documents 8", "verify at the end: clean"),
        ("churn.py", "--documents 250 --rounds 2", "sound"),
    ],
)
def test_the_scripts_find_nothing_wrong_in_a_small_run(script: str, arguments: str, last: str) -> None:
    done = run(SCRIPTS / script, *arguments.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert last in done.stdout


def test_the_judge_of_searches_sees_mixtures_and_stale_versions() -> None:
    commits = [{"at": 10.0, "versions": {"001": 1}}, {"at": 20.0, "versions": {"001": 2}}]
    assert judge([{"began": 22.0, "seen": {"001": [2], "002": [0]}}], commits) == (0, 0)
    assert judge([{"began": 20.5, "seen": {"001": [1]}}], commits) == (0, 0)  # within the second
    assert judge([{"began": 22.0, "seen": {"001": [1]}}], commits) == (0, 1)
    assert judge([{"began": 15.0, "seen": {"001": [1, 2]}}], commits) == (1, 0)


def test_two_dumps_differ_in_every_part_that_is_compared() -> None:
    one = fresh({"a.txt": "Puffins nest in burrows."}, {})
    assert differences(one, fresh({"a.txt": "Puffins nest in burrows."}, {})) == []
    assert differences(one, fresh({"a.txt": "Puffins nest in boats."}, {})) == ["a.txt: text, chunks differ"]
    assert differences(one, fresh({"b.txt": "Puffins nest in burrows."}, {})) == [
        "a.txt: only in one",
        "b.txt: only in one",
    ]
