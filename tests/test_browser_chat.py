"""The chat in a real browser: asking, reading, checking the sources, coming back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from browser import Site, ask, opened, serving, until
from click.testing import CliRunner
from scripted_server import Play

from evals.gold import read_gold
from rag.cli import main

# Gradio's own use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore:::gradio.queueing")

KEEPER = "Who was the last principal keeper of Skarn Head?"
NIGHTS = "How many clear nights were there at the observatory in 2023?"
SIREN = "In which year was the fog siren at Skarn Head silenced?"
MONGOLIA = "What is the capital of Mongolia?"


def reply(*sentences: str) -> Any:
    """What a model says: each sentence with the first label that it was given."""

    def said(messages: list[dict[str, str]]) -> str:
        label = re.search(r"\[(b\d+\.\d+)\]", messages[-1]["content"])
        assert label, "no passage was sent"
        return " ".join(f"{sentence.rstrip('.')} [{label[1]}]." for sentence in sentences)

    return said


def use_model(page: Any, site: Site, *script: Play) -> None:
    """Choose the scripted model in the settings."""
    site.model.script[:] = script
    page.click("nav [data-view=settings]")
    page.fill("#model textarea, #model input", site.model_spec)
    page.locator("#leaves", has_text="the model's server runs on it").wait_for()
    page.click("nav [data-view=chat]")


def shown_words(page: Any) -> str:
    """What is marked in the panel."""
    page.wait_for_selector("#panel mark")
    return " ".join("".join(page.locator("#panel mark").all_inner_texts()).split())


# Asking and reading


def test_one_asks_reads_and_jumps_to_the_words(page: Any) -> None:
    turn = ask(page, KEEPER)
    assert "Ewan Brough" in turn.inner_text()
    link = turn.locator(".answer a.cite").first
    quote = link.get_attribute("data-card").strip("“”")
    link.click()
    assert shown_words(page) == quote
    mark = page.locator("#panel mark").first
    assert mark.is_visible()
    box, paper = mark.bounding_box(), page.locator("#panel .paper").bounding_box()
    assert paper["y"] <= box["y"] <= paper["y"] + paper["height"] - box["height"]


def test_an_example_asks_itself(page: Any) -> None:
    example = page.locator(".example").first
    words = example.inner_text()
    example.click()
    page.locator(".turn .tools").wait_for()
    assert page.locator(".turn .question").inner_text() == words


def test_text_streams_in_and_ends_with_its_citations(page: Any, site: Site) -> None:
    said = [f"The lamp was first lit in 1868, said keeper {n}" for n in range(12)]
    use_model(page, site, Play(reply(*said), pace=0.02))
    page.fill("#question textarea", "When was the lamp lit?")
    page.press("#question textarea", "Enter")
    lengths = set()
    until(lambda: lengths.add(len(page.locator(".turn .answer").inner_text())) or _done(page), 30)
    assert len(lengths) > 5
    assert page.locator(".turn a.cite").count() == 12
    assert page.locator(".turn .verdict").count() == 12


def _done(page: Any) -> bool:
    return bool(page.locator('.turn .answer[aria-busy="false"]').count())


def test_hovering_or_focusing_a_number_shows_the_quote_and_its_place(page: Any) -> None:
    turn = ask(page, NIGHTS)
    link = turn.locator(".answer a.cite[data-card]", has_text="[1]").first
    link.hover()
    card = page.locator(".card:not([hidden])")
    card.wait_for()
    assert link.get_attribute("data-card") in card.inner_text()
    assert link.get_attribute("data-place") in card.inner_text()
    page.mouse.move(5, 790)
    card.wait_for(state="hidden")
    link.focus()
    card.wait_for()


def test_a_click_opens_the_page_of_a_pdf_with_the_quote_in_a_box(page: Any) -> None:
    turn = ask(page, NIGHTS)
    turn.locator('a.cite[data-doc$=".pdf"]').first.click()
    picture = page.locator("#panel .sheet img")
    picture.wait_for()
    page.wait_for_function("() => document.querySelector('#panel .sheet img')?.naturalWidth > 500")
    boxes = page.locator("#panel .sheet .box")
    assert boxes.count() >= 1
    sheet, box = picture.bounding_box(), boxes.first.bounding_box()
    assert sheet["x"] <= box["x"]
    assert box["x"] + box["width"] <= sheet["x"] + sheet["width"] + 1
    assert boxes.first.is_visible()
    width = sheet["width"]
    page.locator('#panel [data-zoom="1"]').click()
    assert until(lambda: picture.bounding_box()["width"] > width * 1.1)


def test_what_the_documents_do_not_hold_is_said_so(page: Any) -> None:
    turn = ask(page, MONGOLIA)
    assert turn.locator(".form.abstained h3").inner_text() == "Not in these documents"
    assert turn.locator("a.cite").count() == 0


def test_a_disagreement_shows_its_sides_with_their_sources(page: Any) -> None:
    turn = ask(page, SIREN)
    positions = turn.locator(".form.conflict .position")
    assert positions.count() == 2
    assert {re.search(r"\d{4}", text)[0] for text in positions.locator(".value").all_inner_texts()} == {"1988", "1991"}
    positions.nth(1).locator("a.note").first.click()
    assert shown_words(page)


# Stopping, asking again


def test_stopping_ends_the_answer_and_the_models_work(page: Any, site: Site) -> None:
    site.model.hung_up.clear()
    use_model(page, site, Play("The lamp was lit. " * 400, pace=0.02))
    page.fill("#question textarea", "When was the lamp lit?")
    page.press("#question textarea", "Enter")
    page.locator(".turn .answer", has_text="The lamp was lit").wait_for()
    page.locator("#question .stop-button").click()
    page.locator(".turn", has_text="Stopped.").wait_for()
    assert site.model.hung_up.wait(10)
    assert "Ewan Brough" in ask_with(page, site, KEEPER).inner_text()


def ask_with(page: Any, site: Site, question: str) -> Any:
    site.model.script[:] = [Play(reply("The last keeper was Ewan Brough"))]
    return ask(page, question)


def test_closing_the_tab_ends_the_models_work(chromium: Any, site: Site) -> None:
    site.model.hung_up.clear()
    with opened(chromium, site) as page:
        use_model(page, site, Play("The lamp was lit. " * 400, pace=0.02))
        page.fill("#question textarea", "When was the lamp lit?")
        page.press("#question textarea", "Enter")
        page.locator(".turn .answer", has_text="The lamp was lit").wait_for()
    assert site.model.hung_up.wait(15)


def test_a_question_is_asked_again_or_written_anew(page: Any) -> None:
    ask(page, MONGOLIA)
    turn = page.locator(".turn").last
    turn.get_by_role("button", name="Edit").click()
    page.wait_for_function("q => document.querySelector('#question textarea').value === q", arg=MONGOLIA)
    page.fill("#question textarea", KEEPER)
    page.press("#question textarea", "Enter")
    page.locator(".turn", has_text="Ewan Brough").wait_for()
    assert page.locator(".turn").count() == 1
    page.locator(".turn .tools").wait_for()
    # The answer comes too quickly to be seen busy: its place is marked, and drawn anew without the mark.
    page.locator(".turn .answer").evaluate("answer => answer.dataset.old = ''")
    page.get_by_role("button", name="Retry").click()
    page.locator('.turn .answer[aria-busy="false"]:not([data-old])').wait_for()
    page.locator(".turn .tools").wait_for()
    assert page.locator(".turn").count() == 1


def test_copying_takes_the_footnotes_along(chromium: Any, site: Site) -> None:
    with opened(chromium, site, permissions=["clipboard-read", "clipboard-write"]) as page:
        ask(page, KEEPER).get_by_role("button", name=re.compile("Copy")).click()
        copied = page.evaluate("navigator.clipboard.readText()")
    assert "Ewan Brough" in copied
    assert "fog-signal-memories.txt" in copied
    assert re.search(r"\[\^?1\]", copied)


# Coming back


def test_a_conversation_survives_reload_and_restart(chromium: Any, site: Site) -> None:
    with opened(chromium, site) as page:
        turn = ask(page, KEEPER)
        place = turn.locator("a.cite").first
        quote = place.get_attribute("data-card").strip("“”")
        page.reload()
        page.locator("#talks .talk", has_text=KEEPER).first.wait_for()
    with serving(site.kb) as url, opened(chromium, Site(url, site.kb, site.model, site.folder)) as page:
        page.locator("#talks .talk", has_text=KEEPER).first.click()
        page.locator(".turn .tools").wait_for()
        assert page.locator(".turn .question").inner_text() == KEEPER
        page.locator(".turn a.cite").first.click()
        assert shown_words(page) == quote
        follow = ask(page, "When did he leave?")
        assert "1994" in follow.inner_text()


def test_conversations_are_found_renamed_exported_and_deleted(page: Any, site: Site) -> None:
    question = "What is the nominal range of the light on Skarn Head?"
    ask(page, question)
    talk = page.locator("#talks li", has_text=question)
    talk.wait_for()
    page.fill("#talk-search textarea, #talk-search input", "zyzzyva")
    page.locator("#talks", has_text="No conversation holds these words.").wait_for()
    page.fill("#talk-search textarea, #talk-search input", "RANGE nominal")
    talk.wait_for()
    talk.locator("summary").click()
    with page.expect_download() as download:
        talk.get_by_text("Export as Markdown").click()
    text = download.value.path().read_text("utf-8")
    assert question.rstrip("?") in text
    assert "[^1]:" in text
    if not talk.locator("[data-rename]").is_visible():
        talk.locator("summary").click()
    talk.locator("[data-rename]").click()
    page.fill("input.rename", "The range")
    page.press("input.rename", "Enter")
    renamed = page.locator("#talks li", has_text="The range")
    renamed.wait_for()
    renamed.locator("summary").click()
    renamed.get_by_text("Delete").click()
    renamed.wait_for(state="detached")
    assert page.locator(".turn").count() == 0
    page.locator("#talks").get_by_role("button", name="Undo").click()
    renamed.locator(".talk").click()
    page.locator(".turn .question", has_text=question).wait_for()


def test_what_people_say_becomes_gold(page: Any, site: Site, tmp_path: Any) -> None:
    """Thumbs, a wrong citation, an abstention that was due, the right passage; then `rag eval new` and `check`."""
    ask(page, KEEPER)
    page.locator(".turn").last.get_by_role("button", name="A good answer").click()
    page.locator(".turn .said").last.wait_for()
    report(page, re.compile(r"Citation \[1\] is wrong"))
    page.locator(".turn .said", has_text="wrong citation").wait_for()

    ask(page, "Who is the captain of MV Kittiwake?")
    report(page, re.compile("It should have said"))
    page.locator(".turn .said", has_text="abstained").wait_for()

    ask(page, MONGOLIA)
    report(page, re.compile("Show the right passage"))
    page.locator("#panel [data-doc]", has_text="Skarn Head Lighthouse").first.click()
    page.wait_for_selector("#panel .paper p")
    page.fill("#pick textarea", "The tower took three and a half years.")
    page.locator("[data-picked]").click()
    page.locator(".turn .said", has_text="right passage").wait_for()

    lines = page.request.get(f"{site.url}/feedback.jsonl").text()
    mine = [line for line in lines.splitlines() if json.loads(line)["answer"]["question"] in _MINE]
    (tmp_path / "feedback.jsonl").write_text("".join(f"{line}\n" for line in mine), "utf-8")
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "docs").symlink_to(site.folder)
    run = CliRunner()
    made = run.invoke(main, ["eval", "new", str(suite), "--feedback", str(tmp_path / "feedback.jsonl")])
    assert made.exit_code == 0, made.output
    assert run.invoke(main, ["eval", "check", str(suite)]).exit_code == 0
    gold = {case.question: case for case in read_gold(suite / "gold.jsonl")[0]}
    assert gold[KEEPER].answerable
    assert not gold["Who is the captain of MV Kittiwake?"].answerable
    assert [e.quote for e in gold[MONGOLIA].evidence] == ["The tower took three and a half years."]


_MINE = {KEEPER, "Who is the captain of MV Kittiwake?", MONGOLIA}


def report(page: Any, choice: re.Pattern[str]) -> None:
    """Something of the menu below the last answer."""
    turn = page.locator(".turn").last
    turn.locator("details.menu summary").click()
    turn.locator(".choices button", has_text=choice).click()


# Apart


def test_nothing_of_one_person_shows_on_anothers_page(chromium: Any, site: Site) -> None:
    with opened(chromium, site) as one, opened(chromium, site) as other:
        use_model(one, site, Play("Only for the first. " * 60, pace=0.02))
        one.fill("#question textarea", "When was the lamp lit?")
        one.press("#question textarea", "Enter")
        one.locator(".turn .answer", has_text="Only for the first").wait_for()
        turn = ask(other, MONGOLIA)  # answered while the other's still streams
        assert not _done(one)
        assert turn.locator(".abstained").count() == 1
        assert other.locator(".turn").count() == 1
        assert "Only for the first" not in other.inner_text("#talk")
        one.locator(".turn .tools").wait_for(timeout=30_000)
        assert one.locator(".turn").count() == 1


def test_a_model_that_fails_says_why_and_the_page_goes_on(page: Any, site: Site) -> None:
    use_model(page, site, *[Play(status=401, said="bad key")] * 4)
    page.fill("#question textarea", KEEPER)
    page.press("#question textarea", "Enter")
    page.locator(".turn .form.failed").wait_for()
    assert "Ewan Brough" in ask_with(page, site, KEEPER).inner_text()


def test_a_question_that_failed_is_there_after_a_reload_and_asked_again(page: Any, site: Site) -> None:
    question = "Which lamp did the keeper of Skarn Head light?"
    use_model(page, site, *[Play(status=401, said="bad key")] * 4)
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    page.locator(".turn .form.failed").wait_for()
    reason = page.locator(".turn .form.failed").inner_text()
    page.reload()
    page.locator("#talks .talk", has_text=question).click()
    page.locator(".turn .form.failed", has_text=reason).wait_for()
    site.model.script[:] = [Play(reply("The keeper lit the lamp"))]
    page.locator(".turn").get_by_role("button", name="Retry").click()
    page.locator(".turn", has_text="The keeper lit the lamp").locator(".tools").wait_for()
    assert page.locator(".turn .question").all_inner_texts() == [question]
    assert page.locator("#talks .talk", has_text=question).count() == 1


def test_the_settings_say_what_is_wrong_with_a_model(page: Any, site: Site) -> None:
    page.click("nav [data-view=settings]")
    page.locator("#leaves", has_text="Nothing leaves this machine").wait_for()
    page.fill("#model textarea, #model input", "openai-like:tiny@http://127.0.0.1:9/v1")
    page.click("#test-model")
    page.locator("#tested .warning").wait_for(timeout=40_000)
    page.fill("#model textarea, #model input", site.model_spec)
    site.model.script[:] = ["ready"]
    page.click("#test-model")
    page.locator("#tested .done", has_text="answered “ready”").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_look_follows_the_system_and_the_person(chromium: Any, site: Site, theme: str) -> None:
    def darkness(page: Any) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return 1 - sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    with opened(chromium, site, color_scheme=theme) as page:
        assert (darkness(page) > 0.5) == (theme == "dark")
        page.click("nav [data-view=settings]")
        other = "light" if theme == "dark" else "dark"
        page.locator(f'[data-theme="{other}"]').click()
        assert (darkness(page) > 0.5) == (theme == "light")
        page.reload()
        page.wait_for_selector("#question textarea", state="attached")
        until(lambda: (darkness(page) > 0.5) == (theme == "light"))
