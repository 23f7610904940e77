"""The library in a real browser: files come in, are asked, change, go; filters hold; addresses inside stay unread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Site, ask, opened, until

pytestmark = pytest.mark.filterwarnings("ignore:::gradio.queueing")

REGATTA = "The Brannay regatta of 1931 was won by the yawl Marigold.\n"


@pytest.fixture
def library(page: Any) -> Iterator[Any]:
    page.click("nav [data-view=library]")
    page.locator("#documents .holdings").wait_for()
    return page


def row(page: Any, name: str) -> Any:
    return page.locator("#documents tbody tr", has_text=name)


def drop(page: Any, *files: dict[str, Any]) -> None:
    """Choose files in the field beside the place to drop them; wait for the sync."""
    page.set_input_files("#drop input[multiple]", list(files))
    page.locator("#news .done, #news .failed").first.wait_for()


def file(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def test_the_list_says_what_there_is(library: Any, site: Site) -> None:
    assert library.locator("#documents tbody tr").count() == len(site.kb.documents())
    pdf = row(library, "holm-hill-report-2023.pdf")
    assert re.search(r"kB · \d+ pages", pdf.inner_text())
    assert pdf.locator(".state.ready").count() == 1


def test_an_uploaded_file_is_asked_and_removed(library: Any, site: Site) -> None:
    drop(library, file("regatta.txt", REGATTA))
    row(library, "regatta.txt").wait_for()
    library.click("nav [data-view=chat]")
    assert "Marigold" in ask(library, "Which yawl won the Brannay regatta of 1931?").inner_text()
    library.click("nav [data-view=library]")
    row(library, "regatta.txt").locator("summary").click()
    row(library, "regatta.txt").get_by_text("Remove, and delete the upload").click()
    row(library, "regatta.txt").wait_for(state="detached")
    assert not list(site.kb.index.folder.rglob("regatta.txt"))
    library.locator("#news", has_text="regatta.txt is removed.").wait_for()
    until(lambda: library.evaluate("document.activeElement.dataset.act") == "undo")
    library.keyboard.press("Enter")
    library.locator("#news", has_text="regatta.txt is back.").wait_for()
    row(library, "regatta.txt").locator(".state.ready").wait_for()
    assert [path.read_text() for path in site.kb.index.folder.rglob("regatta.txt")] == [REGATTA]


def test_what_is_not_taken_says_why_and_the_rest_comes_in(library: Any, site: Site) -> None:
    drop(library, file("virus.exe", "MZ"), file("empty.txt", ""), file("good.txt", REGATTA))
    row(library, "good.txt").wait_for()
    news = library.locator("#news").inner_text()
    assert "virus.exe: no reader for .exe" in news
    assert "empty.txt: the file is empty" in news
    drop(library, file("good.txt", "Something else.\n"))
    library.locator("#news", has_text="there already").wait_for()
    assert (site.kb.index.folder / "uploads" / "good.txt").read_text() == REGATTA


def test_a_name_cannot_lead_out_of_the_uploads(page: Any, site: Site) -> None:
    for name in ("../out.txt", "/tmp/out.txt", "a/../../out.txt"):
        reply = page.request.post(f"{site.url}/upload?name={name}", data=b"text")
        assert reply.json().get("refused"), name
    assert not list(Path(site.kb.index.folder).parent.rglob("out.txt"))


def test_a_changed_folder_is_planned_then_synced(library: Any, site: Site) -> None:
    (site.folder / "news.md").write_text("# News\n\nThe pier was painted blue in 2025.\n", "utf-8")
    guide = site.folder / "island-guide.md"
    guide.write_text(guide.read_text("utf-8") + "\nThe bakery opens at five.\n", "utf-8")
    library.click("#look")
    library.locator("#news .plan").wait_for()
    plan = library.locator("#news").inner_text()
    assert "Add: 1" in plan
    assert "Read again: 1" in plan
    assert "news.md" in plan
    library.click("#sync")
    library.locator("#news .done", has_text="1 added, 1 read again").wait_for()
    row(library, "news.md").wait_for()
    (site.folder / "news.md").unlink()
    library.click("#sync")
    row(library, "news.md").wait_for(state="detached")


def test_a_search_shows_passages_with_scores_and_opens_them(library: Any) -> None:
    library.fill("#passage-search textarea, #passage-search input", "yellow band of the tower")
    library.press("#passage-search textarea, #passage-search input", "Enter")
    first = library.locator("#found .note").first
    first.wait_for()
    assert re.search(r"score [\d.]+ · meaning [\d.]+ · words [\d.]+", first.inner_text())
    first.click()
    library.locator("#panel mark").first.wait_for()


def test_a_document_is_found_by_part_of_its_name(library: Any) -> None:
    library.fill("#name-search textarea, #name-search input", "PERSEID")
    library.wait_for_function("document.querySelectorAll('#documents tbody tr').length === 1")
    assert "perseid-night.html" in library.locator("#documents tbody").inner_text()


def test_asking_only_one_document_asks_no_other(library: Any) -> None:
    row(library, "ferry-timetable.md").locator("summary").click()
    row(library, "ferry-timetable.md").get_by_text("Ask only this one").click()
    library.locator("#scope-name", has_text="Only ferry-timetable.md").wait_for()
    turn = ask(library, "How long does the ferry take from Dunmarrow to Port Ellery?")
    cited = {link.get_attribute("data-doc") for link in turn.locator("a.cite").all()}
    assert cited == {"ferry-timetable.md"}
    lighthouse = ask(library, "When was the lighthouse on Skarn Head lit for the first time?")
    assert lighthouse.locator('[data-doc="skarn-head-lighthouse.md"]').count() == 0


def test_addresses_inside_the_network_are_not_read(library: Any) -> None:
    library.fill("#address textarea, #address input", "http://127.0.0.1:1/secret")
    library.click("#add")
    library.locator("#news .failed, #news .done").first.wait_for()
    assert "not public" in library.locator("#news").inner_text() or "private" in library.locator("#news").inner_text()


def test_what_is_added_says_first_what_it_is_about_to_do(library: Any, site: Site, tmp_path: Path) -> None:
    (tmp_path / "harbour.md").write_text("# Harbour\n\nThe harbour froze in 1947.\n", "utf-8")
    library.evaluate(
        "() => { const news = document.getElementById('news'); window.said = '';"
        " const look = () => { window.said += news.querySelector('.planned')?.textContent ?? ''; };"
        " new MutationObserver(look).observe(news, { childList: true, subtree: true }); }"
    )
    library.fill("#address textarea, #address input", str(tmp_path / "harbour.md"))
    library.click("#add")
    row(library, "harbour.md").wait_for()
    assert "Planned: 1 to add" in library.evaluate("window.said")
    site.kb.remove("harbour.md")


def test_a_page_opened_before_a_sync_shows_it_when_it_is_opened_anew(chromium: Any, site: Site) -> None:
    with opened(chromium, site) as page:
        (site.folder / "late.md").write_text("# Late\n\nIt came late.\n", "utf-8")
        site.kb.sync()
        page.reload()
        page.wait_for_selector("#question textarea")
        page.click("nav [data-view=library]")
        row(page, "late.md").wait_for()
    (site.folder / "late.md").unlink()
    site.kb.sync()
    until(lambda: all(info.doc != "late.md" for info in site.kb.documents()))


def test_a_folder_comes_in_with_its_names_and_without_what_is_hidden(library: Any, site: Site, tmp_path: Path) -> None:
    (tmp_path / "papers" / "2024").mkdir(parents=True)
    (tmp_path / "papers" / "2024" / "notes.md").write_text("# Notes\n\nThe kiln was lit in 1824.\n", "utf-8")
    (tmp_path / "papers" / ".secret.txt").write_text("hidden\n", "utf-8")
    library.set_input_files("#drop input[webkitdirectory]", tmp_path / "papers")
    row(library, "papers/2024/notes.md").wait_for()
    docs = [info.doc for info in site.kb.documents()]
    assert "papers/2024/notes.md" in docs
    assert not [doc for doc in docs if "secret" in doc]
