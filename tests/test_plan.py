"""What a sync would do and then does: renames, dry runs, vanished folders, warnings, slow and crashing readers."""

from pathlib import Path

import pytest
from conftest import WordHash

from index.errors import RagError
from index.plan import Plan
from index.settings import IndexSettings
from index.store import Index
from rag import Rag


@pytest.fixture
def index(tmp_path: Path, words: WordHash) -> Index:
    return Index(tmp_path / "index", embedder=words)


def found(index: Index, word: str) -> list[str]:
    with index.reading() as snapshot:
        rows, _ = snapshot.lexical([word], 10)
        return [snapshot.docs[snapshot.documents[int(row)]] for row in rows]


def test_a_plan_says_what_a_sync_does_and_writes_nothing(index: Index, folder: Path) -> None:
    (plan,) = index.plan([folder])
    assert [task.doc for task in plan.added] == ["ferry.txt", "sub/birds.txt", "tower.md"]
    assert not index.folder.exists()
    index.sync([folder])
    (folder / "ferry.txt").write_text("It does not sail any more.")
    (folder / "sub" / "birds.txt").unlink()
    (plan,) = index.plan()
    assert str(plan) == "would read again ferry.txt\nwould remove sub/birds.txt\n1 unchanged, 0 cannot be read"
    assert [info.doc for info in index.documents()] == ["ferry.txt", "sub/birds.txt", "tower.md"]


def test_a_renamed_file_moves_without_being_embedded(index: Index, folder: Path, words: WordHash) -> None:
    index.sync([folder])
    words.encoded.clear()
    (folder / "sub" / "birds.txt").rename(folder / "seabirds.txt")
    report = index.sync([folder])
    assert report.moved == (("sub/birds.txt", "seabirds.txt"),)
    assert (report.added, report.removed, words.encoded) == ((), (), [])
    assert found(index, "puffin") == ["seabirds.txt"]
    assert found(index, "seabird") == ["seabirds.txt"]  # the new name is searched
    assert all(check.ok for check in index.verify())
    assert set(index.sync([folder]).unchanged) == {"ferry.txt", "seabirds.txt", "tower.md"}


def test_a_copy_is_no_move_and_a_renamed_folder_moves_whole(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "copy.txt").write_bytes((folder / "ferry.txt").read_bytes())
    assert index.sync([folder]).added == ("copy.txt",)
    (folder / "sub").rename(folder / "fauna")
    assert index.sync([folder]).moved == (("sub/birds.txt", "fauna/birds.txt"),)


def test_a_changed_sidecar_is_a_change(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "ferry.txt.meta.toml").write_text('author = "Ann"')
    assert index.sync([folder]).changed == ("ferry.txt",)
    assert index.document("ferry.txt").meta["author"] == "Ann"
    assert index.sync([folder]).changed == ()
    (folder / "ferry.txt.meta.toml").unlink()
    assert index.sync([folder]).changed == ("ferry.txt",)
    assert "author" not in index.document("ferry.txt").meta


def test_more_than_half_gone_is_asked_about(index: Index, folder: Path) -> None:
    index.sync([folder])
    asked: list[Plan] = []

    def no(plan: Plan) -> bool:
        asked.append(plan)
        return False

    (folder / "ferry.txt").unlink()
    index.sync([folder], confirm=no)
    assert asked == []
    (folder / "tower.md").unlink()
    (folder / "sub" / "birds.txt").unlink()
    (folder / "new.txt").write_text("Something new.")
    with pytest.raises(RagError, match=r"2 documents of .* would have gone"):
        index.sync([folder], confirm=no)
    assert len(asked) == 1
    assert [info.doc for info in index.documents()] == ["sub/birds.txt", "tower.md"]
    assert set(index.sync([folder], confirm=lambda plan: True).removed) == {"sub/birds.txt", "tower.md"}


def test_failures_are_remembered_until_they_are_gone(index: Index, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    index.sync([folder])
    assert [doc for doc, _ in index.catalog.failures()] == ["broken.pdf"]
    (folder / "broken.pdf").unlink()
    index.sync([folder])
    assert index.catalog.failures() == []


def test_a_reader_that_takes_too_long_is_killed_and_the_rest_is_read(
    tmp_path: Path, folder: Path, words: WordHash
) -> None:
    rows = "".join(f"<p>Paragraph {n} of a page.</p>" for n in range(200_000))
    (folder / "a-huge.html").write_text(f"<html><body>{rows}</body></html>")
    (folder / "b-small.html").write_text("<html><body><p>A small page about kelp.</p></body></html>")
    index = Index(tmp_path / "index", IndexSettings(read_seconds=1.5), words)
    report = index.sync([folder])
    assert "longer than 1.5 s" in dict(report.failed)["a-huge.html"]
    assert "b-small.html" in report.added or "longer" in dict(report.failed)["b-small.html"]
    assert "ferry.txt" in report.added


def test_embedding_that_fails_in_the_middle_keeps_what_was_committed(tmp_path: Path, words: WordHash) -> None:
    docs = tmp_path / "many"
    docs.mkdir()
    for number in range(40):
        text = "\n\n".join(f"Paragraph {n} of file {number} about thing {n * number}. " * 8 for n in range(40))
        (docs / f"{number:02}.txt").write_text(text)

    class Breaks(WordHash):
        def encode(self, texts):
            if len(self.encoded) > 520:
                raise RuntimeError("out of memory")
            return super().encode(texts)

    index = Index(tmp_path / "index", embedder=Breaks())
    with pytest.raises(RuntimeError, match="out of memory"):
        index.sync([docs])
    index.close()
    again = Index(tmp_path / "index", embedder=words)
    kept = len(again.documents())
    assert 0 < kept < 40
    assert len(again.sync([docs]).added) == 40 - kept
    assert all(check.ok for check in again.verify())


def test_llama_index_documents_and_strings_are_added(tmp_path: Path, words: WordHash) -> None:
    from llama_index.core import Document as Loaded

    kb = Rag(tmp_path / "index", embedder=words)
    pages = [
        Loaded(
            text="The first page speaks of kelp.", metadata={"file_name": "sea.pdf", "page_label": "1", "topic": "sea"}
        ),
        Loaded(text="The second page speaks of crabs.", metadata={"file_name": "sea.pdf", "page_label": "2"}),
    ]
    report = kb.add([*pages, Loaded(text="A lone note about gulls.", id_="note-1")])
    assert set(report.added) == {"sea.pdf", "note-1"}
    assert kb.document("sea.pdf").meta["topic"] == "sea"
    passage = next(found for found in kb.search("crabs", k=1))
    assert (passage.doc, passage.page) == ("sea.pdf", 2)
    assert kb.add(pages).unchanged == ("sea.pdf",)
    assert kb.add("Plain words about whales.", doc="whales.txt", meta={"author": "Ann"}).added == ("whales.txt",)
    with pytest.raises(RagError, match="needs a name"):
        kb.add("Words without a name.")
    with pytest.raises(RagError, match="int is neither"):
        kb.add(5)
