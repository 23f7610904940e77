"""A chat turn as plain values: what is shown, linked, marked and escaped. Answers are made by hand; no Gradio."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from index.errors import ModelError
from rag.display.cited import place
from rag.display.prose import draw, emphasis, escape, excerpt
from rag.settings import Settings
from rag.values import Answer, Citation, CitationEvent, Conflict, Fate, Final, Passage, Sentence, Step, TextDelta, Trace
from ui.answers import answer_html, disagreement
from ui.chat import Conversation, View, turn
from ui.cited import cited_text
from ui.feedback import Given
from ui.turns import live, past, turn_html

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> ![x](http://evil.example/leak) "
    "[click](javascript:alert(1)) ${alert(1)} {{value}} \" ' <form action=http://evil.example>"
)
LIT = Citation(1, "tower.md", 10, 33, None, "The lamp was lit in 1868.")
HIGH = Citation(2, "report.pdf", 40, 64, 3, "It is 34 metres high.")


def passage(citation: Citation, title: str = "The tower") -> Passage:
    return Passage(citation.doc, citation.start, citation.end, citation.page, citation.quote, 9, 0.5, 0.5, 0.5, title)


def answer(text: str, *sentences: Sentence, **more: Any) -> Answer:
    values: dict[str, Any] = {
        "question": "When was it lit?", "text": text, "sentences": sentences, "citations": (LIT, HIGH),
        "passages": (passage(LIT), passage(HIGH, "Report")), "abstained": False, "confidence": 0.8,
        "timings": {"search": 0.02, "read": 0.1, "total": 0.25},
    }  # fmt: skip
    return Answer(**{**values, **more})


class Scripted:
    """Stands for a Rag: gives the events that it was made with; an exception among them is raised."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.settings = Settings()
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self.options: dict[str, Any] = {}
        self.dropped = False

    def stream(self, question: str, *, history: Any = (), **options: Any) -> Iterator[Any]:
        self.asked.append((question, list(history)))
        self.options = options
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                yield event
        except GeneratorExit:
            self.dropped = True
            raise


def tags(html: str) -> set[str]:
    return set(re.findall(r"<([a-z0-9]+)", html))


# Text, citations, verdicts


def test_a_marker_links_to_the_span_and_says_on_hover_what_stands_there() -> None:
    html = cited_text("It is 34 m high [2].", [LIT, HIGH], (), {"report.pdf": "Report 2023"})
    link = re.search(r"<a [^>]*>\[2\]</a>", html)
    assert link is not None
    for part in ('data-doc="report.pdf"', 'data-start="40"', 'data-end="64"', "It is 34 metres high.",
                 "Report 2023, page 3"):  # fmt: skip
        assert part in link.group()


def test_a_number_without_a_citation_stays_text() -> None:
    assert cited_text("See [7].", [LIT]) == "<p>See [7].</p>"


def test_a_reference_number_of_the_document_is_no_citation() -> None:
    text = "Lit in 1868 [1] as noted. [1]"
    sentence = Sentence("Lit in 1868 [1] as noted.", (LIT,), "supported", 1.0)
    html = cited_text(text, [LIT], [sentence])
    assert html.count("<a ") == 1
    assert "1868 [1] as noted." in html


def test_each_sentence_ends_with_the_sign_of_its_verdict() -> None:
    text = "Lit in 1868 [1]. Tall [2]. Old.\n- Red [1]."
    sentences = (
        Sentence("Lit in 1868.", (LIT,), "supported", 0.9),
        Sentence("Tall.", (HIGH,), "partial", 0.5),
        Sentence("Old.", (), "uncited", 0.0),
        Sentence("Red.", (LIT,), "unsupported", 0.1),
    )
    plain = re.sub(r"<[^>]+>|\u2060", "", cited_text(text, [LIT, HIGH], sentences))
    assert plain == "Lit in 1868[1].✓ Tall[2].◐ Old.○Red[1].✕"


def test_signs_have_words_for_hover_and_screen_readers() -> None:
    html = cited_text("Tall.", [], [Sentence("Tall.", (), "uncited", 0.0)])
    assert 'role="img"' in html
    assert html.count("No source: nothing was cited for this.") == 2


def test_sentences_are_found_through_line_breaks_and_markers() -> None:
    said = Sentence("The lamp was\nlit in 1868.", (LIT,), "supported", 1.0)
    ((start, end, _),), literal = place("Yes. The lamp [2] was lit in 1868 [1]. So.", [said])
    assert (start, end, literal) == (5, 38, set())


def test_a_doubtful_sentence_that_is_not_found_is_listed_below() -> None:
    lost = Sentence("Nobody wrote this.", (LIT,), "unsupported", 0.0)
    assert "✕</span> Nobody wrote this." in answer_html(answer("Something else.", lost))


def test_emphasis_is_drawn_and_bars_of_a_table_row_become_dots() -> None:
    text = "| **Range** | 24 miles |"
    html = draw(text, 0, len(text), emphasis(text, 0, len(text)))
    assert re.sub(r"<span class=\"bar\"> · </span>", "·", html).split() == [
        "<strong>Range</strong>",
        "·",
        "24",
        "miles",
    ]


@pytest.mark.parametrize("text", ["2 * 3 * 4", "**", "* *", "a*b*c", "snake_case_name", "`", "**a*"])
def test_stars_that_emphasise_nothing_stay(text: str) -> None:
    assert draw(text, 0, len(text), emphasis(text, 0, len(text))) == text


def test_excerpt_leaves_out_headings_and_signs() -> None:
    assert excerpt("# Title\n\n| **A** | b |\n|---|---|\nText *here*.", 80) == "A · b Text here."


# Hostile text


def test_nothing_hostile_becomes_markup() -> None:
    evil = Citation(1, f"{HOSTILE}.md", 0, 5, 2, HOSTILE)
    hostile = answer(
        f"{HOSTILE} [1]",
        Sentence(HOSTILE, (evil,), "unsupported", 0.0),
        question=HOSTILE, citations=(evil,), passages=(passage(evil, HOSTILE),), model=HOSTILE,
        conflicts=(Conflict(HOSTILE, ((HOSTILE, (evil,)), ("other", (evil,)))),),
    )  # fmt: skip
    for given in (hostile, answer(HOSTILE, citations=(evil,), passages=(passage(evil, HOSTILE),), abstained=True)):
        html = turn_html(Conversation([View(HOSTILE, answer_html(given), done=True, answer=given, row=1)]), 1)
        assert tags(html) <= {
            "article", "h2", "h3", "div", "section", "p", "span", "sup", "a", "ul", "li", "q", "details", "summary",
            "button", "svg", "path", "table", "thead", "tbody", "tr", "th", "td",
        }  # fmt: skip
        assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', html))
        assert set(re.findall(r'href="([^"]*)"', html)) <= {"#source"}


def test_direction_marks_and_controls_cannot_turn_a_quote_around() -> None:
    assert escape("a\u202eb\x00c\x1bd\u2066e") == "a b c d e"


# Forms


def test_abstention_has_its_own_form_with_the_nearest_passages() -> None:
    html = answer_html(answer("These documents do not hold it.", citations=(), abstained=True))
    assert "Not in these documents" in html
    assert html.count('class="note"') == 2
    assert "✓" not in html


def test_disagreement_puts_the_positions_side_by_side_and_drops_the_line_that_says_the_same() -> None:
    text = "The lamp was lit in 1868 [1].\n\nThe sources disagree: 1868 [1]; 1869 [2]."
    said = Sentence("The lamp was lit in 1868.", (LIT,), "supported", 1.0)
    html = answer_html(answer(text, said, conflicts=(Conflict("when", (("1868", (LIT,)), ("1869", (HIGH,)))),)))
    assert html.count('class="position"') == 2
    assert html.count("The sources disagree") == 1
    assert re.search(r'<p class="value">1869</p>.*?data-doc="report.pdf" data-start="40" data-end="64"', html)


def test_sources_that_disagree_carry_their_dates() -> None:
    positions = (("1868", (LIT,)), ("1869", (HIGH,)))
    page = disagreement(Conflict("when", positions, ("", "2020-05-03")))
    first, second = page.split('class="position"')[1:]
    assert "dated" not in first
    assert '<p class="value">1869</p><p class="dated">dated 2020-05-03</p>' in second
    assert "dated" not in disagreement(Conflict("when", positions))


def test_a_headline_stands_above_the_sentences_with_its_number() -> None:
    said = Sentence("The lamp was lit in 1868.", (LIT,), "supported", 1.0)
    page = answer_html(answer("**1868** [1]\n\nThe lamp was lit in 1868 [1].", said, headline="1868"))
    head = page[: page.index("</div>")]
    assert head.startswith('<div class="headline"><p>1868')
    assert 'data-start="10"' in head
    assert page.count("✓") == 1


def test_the_trace_says_what_became_of_each_passage() -> None:
    fates = (
        Fate("tower.md", 0, 40, None, 1, 2, 0.9, "packed"),
        Fate("report.pdf", 100, 140, 3, 7, None, 0.3, "over budget"),
        Fate("<b>.md", 0, 9, None, None, 4, 0.1, "ranked too low"),
    )
    page = answer_html(answer("Lit [1].", trace=Trace(query="When was it lit, in the tower?", candidates=fates)))
    rows = re.findall(r"<tr class=.*?</tr>", page)
    assert [re.sub(r"<[^>]+>", " ", row).split() for row in rows] == [
        ["tower.md", "1", "2", "cited", "[1]"],
        ["report.pdf,", "page", "3", "7", "–", "left", "out:", "no", "room", "in", "the", "token", "budget"],
        ["&lt;b&gt;.md", "–", "4", "left", "out:", "others", "fit", "better"],
    ]
    assert "Searched for: When was it lit, in the tower?" in page
    assert 'data-doc="report.pdf" data-start="100"' in rows[1]


def test_tools_below_a_turn_are_what_one_can_do_with_it() -> None:
    done = View("When?", "…", done=True, answer=answer("Lit [1]."), row=5)
    page = turn_html(Conversation([done]), 1)
    assert page.count('data-kind="wrong_citation"') == 2
    assert 'data-kind="should_abstain"' in page
    assert 'data-pick="When?"' in page
    assert "Answer anyway" not in page
    said = replace(done, said=(Given("up"), Given("wrong_citation", citation=2)))
    page = turn_html(Conversation([said]), 1)
    assert page.count('aria-pressed="true"') == 2
    assert "You called this a good answer. You reported a wrong citation. Thank you." in page
    held = View("When?", "…", done=True, answer=answer("No.", abstained=True), row=5)
    assert "Answer anyway" in turn_html(Conversation([held]), 1)
    assert "should_abstain" not in turn_html(Conversation([held]), 1)
    failed = turn_html(Conversation([View("When?", "…", done=True)]), 1)
    assert ("Retry" in failed, "Copy" in failed, "Report" in failed) == (True, False, False)
    assert 'class="tools"' not in turn_html(Conversation([View("When?")]), 1)


def test_a_turn_that_nobody_reads_any_more_lets_go_of_its_model() -> None:
    kb = Scripted(TextDelta("Half"), TextDelta(" more"), Final(answer("Half more")))
    states = Conversation().ask(kb, "?")
    next(states), next(states)
    states.close()
    assert kb.dropped


def test_footnotes_do_not_repeat_a_quote_that_is_a_sentence_of_the_answer() -> None:
    said = Sentence(LIT.quote, (LIT,), "supported", 1.0)
    html = answer_html(answer(f"{LIT.quote} [1]", said))
    notes = html[html.index('class="notes"') :]
    assert f'<q class="quote">{HIGH.quote}</q>' in notes
    assert f'<q class="quote">{LIT.quote}</q>' not in notes


def test_steps_are_folded_with_their_times() -> None:
    html = answer_html(answer("Yes.", Sentence("Yes.", (), "uncited", 0.0)))
    assert "<details" in html
    assert "0.2 s · no language model · 0 of 1 sentence supported" in html
    assert '<span>Searched the documents</span><span class="time">0.02 s</span>' in html


def test_the_address_of_a_model_server_is_not_shown() -> None:
    assert "http" not in answer_html(answer("Yes.", model="openai-like:qwen@http://127.0.0.1:8000/v1"))


# Turns


def test_a_turn_streams_text_with_links_before_the_answer_is_complete() -> None:
    done = answer("Lit in 1868 [1].", Sentence("Lit in 1868.", (LIT,), "supported", 1.0))
    events = (Step("search", 0.1), CitationEvent(LIT), TextDelta("Lit in 1868 [1]"), TextDelta("."), Final(done))
    views = list(turn(Scripted(*events), "When?", interval=0.0))
    assert "Searching" in views[0].status
    assert "Reading" in views[1].status
    assert [view.done for view in views] == [False] * 4 + [True]
    assert 'data-start="10"' in views[2].body
    assert "✓" not in views[3].body
    assert "✓" in views[4].body
    assert views[4].answer is done
    assert views[4].status == ""


def test_streaming_is_throttled() -> None:
    deltas = [TextDelta("word ") for _ in range(200)]
    assert len(list(turn(Scripted(*deltas, Final(answer("word " * 200))), "?", interval=60.0))) == 3


def test_an_error_of_the_user_is_shown_below_what_had_come() -> None:
    events = (TextDelta("Half an ans"), ModelError("The model <b>broke</b> off."))
    last = list(turn(Scripted(*events), "?", interval=0.0))[-1]
    assert last.done
    assert "Half an ans" in last.body
    assert "The model &lt;b&gt;broke&lt;/b&gt; off." in last.body


def test_an_error_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    last = list(turn(Scripted(ZeroDivisionError("secret")), "?"))[-1]
    assert "secret" not in last.body
    assert "a chat turn failed" in caplog.text


def test_a_question_of_a_whole_book_is_refused() -> None:
    kb = Scripted()
    assert "shorten" in list(turn(kb, "x" * 4001))[-1].body
    assert kb.asked == []


# Conversations


def test_the_next_turn_knows_the_answers_before_it() -> None:
    kb, talk = Scripted(Final(answer("In 1868 [1]."))), Conversation()
    for question in ("When?", "And where?"):
        list(talk.ask(kb, question))
    assert kb.asked[1] == ("And where?", [("When?", "In 1868.")])
    assert 'id="turn-1"' in past(talk)
    assert 'id="turn-2"' in live(talk)
    assert "And where?" not in past(talk)


def test_stopping_keeps_what_had_come_and_ends_the_turn() -> None:
    talk = Conversation()
    states = talk.ask(Scripted(TextDelta("Half"), TextDelta(" more"), Final(answer("Half more"))), "?")
    next(states), next(states)
    talk.stop()
    assert list(states) == []
    assert "Half" in live(talk)
    assert "Stopped." in live(talk)
    assert 'aria-busy="false"' in live(talk)
