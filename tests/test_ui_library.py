"""The library, scopes and syncs as plain values: states of files, plans, progress, failures; nothing is markup."""

import re
from pathlib import Path

import pytest
from conftest import WordHash

from index.errors import QueryError, RagError
from index.sync import SyncReport
from rag import Rag
from ui.library import (
    failures_html,
    holdings,
    library_html,
    passages_html,
    plan_html,
    planned,
    progress_html,
    report_html,
)
from ui.scope import Scope, choices, chosen
from ui.syncing import Progress, syncing


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", embedder=words)
    kb.sync(folder)
    return kb


def states(kb: Rag) -> dict[str, str]:
    return {holding.info.doc: holding.state for holding in holdings(kb)}


def test_the_state_of_each_file_is_told(kb: Rag, folder: Path) -> None:
    kb.add("The mast was painted red.", doc="note")
    assert set(states(kb).values()) == {"ready", "memory"}
    (folder / "ferry.txt").write_text("The ferry sails at one.\n", "utf-8")
    (folder / "tower.md").unlink()
    assert states(kb) == {"ferry.txt": "changed", "note": "memory", "sub/birds.txt": "ready", "tower.md": "gone"}
    assert "2 changed on disk since the last sync" in library_html(kb)


def test_documents_are_listed_with_size_and_date_and_found_by_name(kb: Rag, folder: Path) -> None:
    (folder / "dated.md").write_text("---\ndate: 2021-05-04\n---\n# Dated <b>\n\nText.\n", "utf-8")
    kb.sync(folder)
    page = library_html(kb)
    assert page.count('data-act="remove"') == 4
    assert '<table class="holdings" role="grid" aria-label="Documents">' in page
    assert "2021-05-04" in page
    assert "Dated &lt;b&gt;" in page
    assert f"{(folder / 'ferry.txt').stat().st_size} B" in page
    found = library_html(kb, "BIRDS sub")
    assert re.findall(r'data-act="remove" data-name="([^"]*)"|data-name="([^"]*)"[^>]*data-act="remove"', found)
    assert found.count('data-act="remove"') == 1
    assert "1 match" in found


def test_a_document_that_was_uploaded_says_that_its_file_goes_too(kb: Rag) -> None:
    page = library_html(kb, "", lambda path: path.endswith("ferry.txt"))
    assert page.count("Remove, and delete the upload") == 1
    assert page.count("Remove from the index") == 2


def test_what_could_not_be_read_is_listed_with_the_reason(kb: Rag, folder: Path) -> None:
    assert failures_html(kb) == ""
    (folder / "empty<i>.md").write_text("", "utf-8")
    kb.sync(folder)
    assert "1 file could not be read" in failures_html(kb)
    assert "empty&lt;i&gt;.md" in failures_html(kb)
    assert "the file is empty" in library_html(kb)


def test_without_documents_it_says_what_to_do(tmp_path: Path, words: WordHash) -> None:
    assert "Add files, a folder or a web address" in library_html(Rag(tmp_path / "none", embedder=words))


def test_a_search_shows_passages_with_scores_that_open_their_source(kb: Rag) -> None:
    page = passages_html(kb.search("When does the ferry sail?", k=2), "When does the ferry sail?")
    assert page.count('class="note"') == 2
    assert re.search(r'data-doc="ferry.txt" data-start="0"', page)
    assert re.search(r"score \d\.\d{3} · meaning \d\.\d\d · words \d+\.\d", page)
    assert passages_html([], "?") == '<p class="soft">No passage fits.</p>'
    assert passages_html([], " ") == ""


# Syncs


def test_a_plan_lists_what_would_happen(kb: Rag, folder: Path) -> None:
    assert "Nothing to do: 3 unchanged." in plan_html(kb.plan())
    (folder / "new.md").write_text("# New\n\nText.\n", "utf-8")
    (folder / "ferry.txt").write_text("The ferry sails at one.\n", "utf-8")
    (folder / "sub" / "birds.txt").unlink()
    page = plan_html(kb.plan())
    for line in ("Add: 1", "new.md", "Read again: 1", "ferry.txt", "Remove: 1", "sub/birds.txt", "1 unchanged"):
        assert line in page
    assert "More than half" not in page


def test_a_plan_that_loses_most_warns(kb: Rag, folder: Path) -> None:
    (folder / "ferry.txt").unlink()
    (folder / "sub" / "birds.txt").unlink()
    assert "Is the disk there?" in plan_html(kb.plan())


def test_a_sync_tells_how_far_it_is_and_ends_with_its_report(kb: Rag, folder: Path) -> None:
    (folder / "new.md").write_text("# New\n\nText.\n", "utf-8")
    *before, last = syncing(kb, str(folder))
    assert isinstance(before[0], Progress)
    assert isinstance(last, SyncReport)
    assert last.added == ("new.md",)
    assert "1 added, 3 unchanged" in report_html(last)


def test_a_sync_says_what_it_is_about_to_do_before_it_does_it(kb: Rag, folder: Path) -> None:
    (folder / "new.md").write_text("# New\n\nText.\n", "utf-8")
    (folder / "ferry.txt").write_text("The ferry sails at one.\n", "utf-8")
    (folder / "sub" / "birds.txt").unlink()
    (folder / "odd.xyz").write_text("?")
    said = []
    for state in syncing(kb, str(folder)):
        if isinstance(state, Progress) and state.plans:
            page = progress_html(state.what, state.done, state.total, state.plans)
            said.append(re.findall("Planned: ([^<]*)", page))
    assert said[0] == ["1 to add, 1 to read again, 1 to remove, 1 unchanged, 1 cannot be read"]
    assert planned(kb.plan()) == "nothing to do, 3 unchanged, 1 cannot be read"


def test_plans_of_several_folders_are_counted_together(kb: Rag, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mast.txt").write_text("The mast is red.\n", "utf-8")
    states = [state for state in syncing(kb, str(folder), str(other)) if isinstance(state, Progress)]
    assert [planned(state.plans) for state in states if state.plans][-1] == "1 to add, 3 unchanged"


def test_a_sync_that_fails_ends_with_the_reason(kb: Rag) -> None:
    last = list(syncing(kb, "/no/such/folder"))[-1]
    assert isinstance(last, RagError)
    assert "There is no file or folder" in str(last)


def test_an_error_of_ours_in_a_sync_is_logged_and_not_shown(
    kb: Rag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kb.index, "sync", lambda *args: 1 / 0)
    last = list(syncing(kb))[-1]
    assert "division" not in str(last)
    assert "a sync failed" in caplog.text


def test_progress_has_a_bar_and_words() -> None:
    page = progress_html("Reading", 3, 12)
    assert "Reading 3 of 12" in page
    assert '<progress max="12" value="3" aria-label="Reading">' in page
    assert "value=" not in progress_html("Looking", 0, 0)


# Scopes


def test_a_scope_is_a_condition_that_the_search_honours(kb: Rag) -> None:
    where = Scope(docs=("ferry.txt",)).where()
    assert {passage.doc for passage in kb.search("keeper tower nest", where=where)} == {"ferry.txt"}
    where = Scope(docs=("*y.txt",)).where()
    assert {passage.doc for passage in kb.search("keeper tower nest", where=where)} == {"ferry.txt"}
    where = Scope(folders=("sub",)).where()
    assert {passage.doc for passage in kb.search("keeper tower nest", where=where)} == {"sub/birds.txt"}
    where = Scope(kinds=("md",)).where()
    assert {passage.doc for passage in kb.search("ferry", where=where)} == {"tower.md"}
    assert Scope().where() is None


def test_dates_bound_a_scope_on_both_sides(kb: Rag) -> None:
    for year in ("2019", "2020", "2021"):
        kb.add(f"The mast of {year} was painted.", doc=year, meta={"date": f"{year}-06-01"})
    where = Scope(since="2020", until="2020-12-31").where()
    assert {passage.doc for passage in kb.search("mast painted", where=where)} == {"2020"}


@pytest.mark.parametrize("date", ["yesterday", "20", "2020-1-1", "2020/01/01"])
def test_what_is_no_date_is_refused_with_an_example(date: str) -> None:
    with pytest.raises(QueryError, match="expected one like 2021, 2021-06 or 2021-06-30"):
        Scope(since=date).where()


def test_a_scope_says_what_it_holds() -> None:
    assert chosen(None, [], [], None, "").words() == "All documents"
    assert chosen(["a/*"], [], [], "", "").words() == "Only a/*"
    assert chosen(["a/b.md"], [], ["pdf", "md"], "2020", "").words() == "Only b.md · pdf, md · from 2020"
    assert chosen(["a", "b"], ["x", "y"], [], "", "2021").words() == "Only 2 documents · 2 folders · until 2021"


def test_choices_are_what_there_is(kb: Rag) -> None:
    assert choices(kb.documents()) == (["ferry.txt", "sub/birds.txt", "tower.md"], ["sub"], ["md", "txt"])
