"""What `verify` says of a sound index and of each way to damage one; it never crashes and never repairs."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import WordHash

import index.health
from index.errors import IndexMissingError
from index.health import Check, Sample, check_chroma, check_folder
from index.store import Index
from index.vectors import ChromaVectors, Record


@pytest.fixture
def kb(tmp_path: Path, folder: Path, words: WordHash) -> Index:
    kb = Index(tmp_path / "index", embedder=words)
    kb.sync([folder])
    return kb


def bad(kb: Index) -> dict[str, Check]:
    return {check.name: check for check in kb.verify() if not check.ok}


def contents(folder: Path) -> dict[str, bytes]:
    """The files of ours; Chroma writes to its own whenever it is opened, SQLite needs two more for reading."""
    ours = [path for path in folder.rglob("*") if path.is_file() and "chroma" not in path.parts]
    files = [path for path in ours if not path.name.endswith(("-shm", "-wal"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def noise(file: Path) -> None:
    file.write_bytes(random.Random(7).randbytes(file.stat().st_size))


def deleted(file: Path) -> None:
    file.unlink()


def test_a_sound_index_passes_every_check_and_is_not_touched(kb: Index) -> None:
    kb.close()
    before = contents(kb.folder)
    checks = kb.verify()
    assert [check.name for check in checks if check.ok] == [
        "folder", "manifest", "lock", "catalog", "spans", "vectors", "lexicon", "chroma",
    ]  # fmt: skip
    assert "3 of 3 records" in checks[-1].found
    assert contents(kb.folder) == before


def test_an_empty_index_is_sound(kb: Index) -> None:
    kb.remove([info.doc for info in kb.documents()])
    assert bad(kb) == {}


def test_no_index_is_told_from_a_damaged_one(tmp_path: Path, words: WordHash) -> None:
    with pytest.raises(IndexMissingError, match="rag sync FOLDER"):
        Index(tmp_path / "none", embedder=words).verify()
    assert not (tmp_path / "none").exists()


# The catalog


@pytest.mark.parametrize("how", [half, emptied, noise, deleted])
def test_a_damaged_catalog_is_named_and_only_looked_at(kb: Index, how: Callable[[Path], None]) -> None:
    kb.close()
    how(kb.folder / "catalog.sqlite3")
    before = contents(kb.folder)
    found = bad(kb)
    assert found["catalog"].advice.startswith("rag sync --rebuild FOLDER")
    assert "from memory" in found["catalog"].advice  # what no sync can bring back
    assert set(found) == {"catalog"}  # Chroma is not blamed
    assert contents(kb.folder) == before


@pytest.mark.parametrize(
    ("damage", "name", "words_found"),
    [
        ("DELETE FROM vectors WHERE key = (SELECT min(key) FROM vectors)", "vectors", "1 chunks without a vector"),
        (
            "UPDATE vectors SET vector = substr(vector, 3) WHERE key = (SELECT min(key) FROM vectors)",
            "vectors",
            "2 len",
        ),
        (
            f"UPDATE vectors SET vector = x'{'007e' * 64}'",
            "vectors",
            "3 vectors with a value",
        ),
        ("DELETE FROM lexicon WHERE rowid = 1", "lexicon", "2 entries for 3 chunks"),
        ("UPDATE chunks SET end = 100000 WHERE id = 1", "spans", "1 of 3 chunks lie outside"),
        ("UPDATE chunks SET page = 7 WHERE id = 1", "spans", "1 of 3 chunks lie outside"),
        (
            "UPDATE documents SET text = substr(text, 1, 5) WHERE doc = 'ferry.txt'",
            "spans",
            "1 of 3 chunks lie outside",
        ),
        ("UPDATE chunks SET document = 99 WHERE id = 1", "spans", "1 belong to no document"),
    ],
)
def test_tables_that_disagree_are_named(kb: Index, damage: str, name: str, words_found: str) -> None:
    kb.close()
    with sqlite3.connect(kb.folder / "catalog.sqlite3") as db:
        db.execute(damage)
    db.close()
    found = bad(kb)
    assert words_found in found[name].found
    assert "failed" not in "".join(check.found for check in found.values())
    assert found[name].advice == "rag sync --rebuild FOLDER"


def test_what_was_added_from_memory_is_named_where_it_would_be_lost(kb: Index) -> None:
    kb.add("A note that was typed in.", "my note")
    (kb.folder / "manifest.json").unlink()
    found = bad(kb)
    assert set(found) == {"manifest"}
    assert found["manifest"].advice == "rag sync --rebuild FOLDER"
    kb.close()
    (kb.folder / "catalog.sqlite3").write_bytes(b"")
    assert "added from memory are lost" in bad(kb)["manifest"].advice


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', "\udcff"])
def test_a_damaged_manifest_is_named(kb: Index, text: str) -> None:
    (kb.folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert set(bad(kb)) == {"manifest"}


def test_a_last_transaction_that_was_cut_leaves_a_sound_catalog(kb: Index, folder: Path, tmp_path: Path) -> None:
    (folder / "new.txt").write_text("Whales were seen.")
    kb.sync([folder])
    copy = tmp_path / "copy"
    shutil.copytree(kb.folder, copy)  # while it is open: as after a kill
    wal = copy / "catalog.sqlite3-wal"
    assert wal.stat().st_size > 0
    half(wal)
    cut = Index(copy, embedder=WordHash())
    assert set(bad(cut)) <= {"chroma", "catalog"}
    cut.sync([folder])
    if bad(cut):
        cut.rebuild_vectors()
    assert bad(cut) == {}


# The lock and the disk


def test_while_another_process_writes_chroma_is_left_alone(kb: Index) -> None:
    script = f"from filelock import FileLock\nwith FileLock({str(kb.folder / 'lock')!r}): print(1, flush=True); input()"
    (kb.folder / "lock.json").write_text(json.dumps({"pid": 77, "host": "here", "since": "noon"}))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        found = bad(kb)
        assert (kb.folder / "lock.json").exists()
        other.communicate("\n")
    assert found["lock"].found == "process 77 on here (since noon) is writing"
    assert "not looked at" in found["chroma"].found
    (lock,) = [check for check in kb.verify() if check.name == "lock"]
    assert lock.ok
    assert "77" in lock.found  # what that process left behind
    assert not (kb.folder / "lock.json").exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    assert check_folder(tmp_path).ok
    assert list(tmp_path.glob("probe*")) == []
    found = check_folder(tmp_path / "missing")
    assert not found.ok
    assert "No such file" in found.found


# Chroma


def stored(folder: Path, count: int) -> list[Record]:
    """More records than Chroma keeps in its log (1,000), so that the graph lies on the disk."""
    rows = np.random.default_rng(1).standard_normal((count, 64)).astype(np.float32)
    records = [Record(n + 1, row / np.linalg.norm(row), f"text {n}", {"doc": "a"}) for n, row in enumerate(rows)]
    chroma = ChromaVectors(folder)
    chroma.upsert(records)
    chroma.close()
    return records


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    folder = tmp_path_factory.mktemp("graph") / "chroma"
    return folder, stored(folder, 1200)


def sampled(records: list[Record]) -> Sample:
    blobs = [record.vector.astype(np.float16).tobytes() for record in records]
    return Sample([record.id for record in records], [record.text for record in records], blobs)


def test_a_sound_collection_passes_and_each_difference_is_told(graph: tuple[Path, list[Record]]) -> None:
    folder, records = graph
    ids = {record.id for record in records}
    whole = check_chroma(folder, None, ids, sampled(records))
    assert whole.ok
    assert whole.found.endswith("of 1200 records can be found")
    assert check_chroma(folder, None).ok  # whatever it holds
    assert check_chroma(folder, None, ids - {5} | {9999}).found.endswith("1 missing, 1 of no chunk")
    other = sampled(records)
    other.texts[3] = "another text"
    other.vectors[4] = other.vectors[5]
    assert check_chroma(folder, None, ids, other).found == "2 of 1200 records differ from the catalog"


def test_a_graph_that_kills_its_reader_is_a_finding(graph: tuple[Path, list[Record]], tmp_path: Path) -> None:
    shutil.copytree(graph[0], tmp_path / "chroma")
    (file,) = (tmp_path / "chroma").rglob("data_level0.bin")
    data, entry = bytearray(file.read_bytes()), file.stat().st_size // 1200
    for at in range(0, len(data), entry):  # number of neighbours (4 bytes), 32 neighbours (4 each), vector, label
        data[at : at + 4 + 128] = (32).to_bytes(4, "little") + (2**31 - 1).to_bytes(4, "little") * 32
    file.write_bytes(data)
    found = check_chroma(tmp_path / "chroma", None, range(1, 1201))
    assert found.found == "Chroma crashed on its files (signal 11)"
    assert found.advice == "rag doctor --rebuild"


@pytest.mark.parametrize("name", ["data_level0.bin", "header.bin", "length.bin"])
def test_a_file_of_the_graph_that_was_cut_is_named(graph: tuple[Path, list[Record]], tmp_path: Path, name: str) -> None:
    shutil.copytree(graph[0], tmp_path / "chroma", copy_function=shutil.copy2)
    (file,) = (tmp_path / "chroma").rglob(name)
    half(file)  # of length.bin Chroma would read what lies in memory behind it, now right, now wrong
    found = check_chroma(tmp_path / "chroma", None, range(1, 1201))
    assert found.found == f"shorter than they were left: {file.relative_to(tmp_path / 'chroma').as_posix()}"
    assert found.advice == "rag doctor --rebuild"


def test_an_index_that_lost_its_graph_is_not_sound(graph: tuple[Path, list[Record]], tmp_path: Path) -> None:
    shutil.copytree(graph[0], tmp_path / "chroma")
    (file,) = (tmp_path / "chroma").rglob("data_level0.bin")
    shutil.rmtree(file.parent)  # Chroma alone would count 1,200 and search what is in its log
    assert not check_chroma(tmp_path / "chroma", None, range(1, 1201)).ok


def test_a_collection_that_is_missing_is_not_made_by_looking(tmp_path: Path) -> None:
    assert check_chroma(tmp_path / "chroma", None, [1, 2]).found.startswith("0 records for 2 chunks: 2 missing")
    assert not (tmp_path / "chroma").exists()


def test_a_silence_is_a_finding(graph: tuple[Path, list[Record]]) -> None:
    assert check_chroma(graph[0], None, limit=0.01).found == "Chroma did not answer within 0 s"


def test_a_folder_of_ours_name_where_the_user_is_does_not_answer_for_us(kb: Index, tmp_path: Path) -> None:
    (tmp_path / "index" / "__init__.py").write_text("raise SystemExit('not ours')")
    assert bad(kb) == {}


def test_an_interrupted_writer_calls_for_a_sync(kb: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    (folder / "new.txt").write_text("Whales were seen.")
    with monkeypatch.context() as patch:
        patch.setattr(type(kb.catalog), "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            kb.sync([folder])
    found = bad(kb)
    assert "interrupted" in found["chroma"].found
    assert found["chroma"].advice.startswith("rag sync")
    kb.sync([folder])
    assert bad(kb) == {}


def test_the_child_answers_in_json_whatever_it_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "index.health"],
        input="no JSON", capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(Path(index.health.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 1  # which check_chroma reports with the last line of:
    assert "JSONDecodeError" in done.stderr
