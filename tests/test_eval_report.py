"""The report: one file, nothing from outside, nothing unescaped, the gold marked, and what became of it."""

import re
from html.parser import HTMLParser

import pytest
from test_eval_runs import WordSearch, suite, towers  # noqa: F401  (fixtures)

from evals import run
from evals.cards import card, marked
from evals.fates import MEANING, fate_of
from evals.plots import calibration, risk_coverage
from evals.record import Row
from evals.report import page, write_report


class Links(HTMLParser):
    """Every address that a browser would fetch, and every tag."""

    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]


@pytest.fixture
def record(suite, tmp_path):  # noqa: F811
    return run(suite, out=tmp_path / "run", kb=WordSearch())


def test_the_page_loads_nothing_from_anywhere(record):
    links = Links()
    links.feed(page(record))
    assert links.found == []
    assert "@import" not in page(record)
    assert "url(" not in page(record)


def test_the_page_has_every_question_with_its_gold_and_answer(record, tmp_path):
    text = write_report(record).read_text()
    assert (tmp_path / "run" / "report.html").is_file()
    assert text.count("<details class=q ") == 4
    assert "When was the tower lit?" in text
    assert "44 metres" in text


def test_what_documents_and_answers_say_is_never_markup(suite, tmp_path):  # noqa: F811
    class Hostile(WordSearch):
        def ask(self, question, *, history=()):
            import dataclasses

            answer = super().ask(question)
            evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
            said = tuple(dataclasses.replace(sentence, text=evil) for sentence in answer.sentences)
            return dataclasses.replace(answer, text=evil, sentences=said)

    links = Links()
    text = page(run(suite, out=tmp_path / "run", kb=Hostile()))
    links.feed(text)
    assert links.tags.count("script") == 1
    assert "img" not in links.tags
    assert "<script>alert" not in text


def test_two_runs_show_what_changed(suite, record, tmp_path):  # noqa: F811
    worse = run(suite, out=tmp_path / "b", kb=WordSearch(least=9))
    text = page(worse, record)
    assert text.count('data-change="worse"') == 2  # the third was wrong before, too
    assert text.count('data-change="same"') == 2
    assert "Answer of the base" in text
    assert re.search(r"No difference shown in any of the \d+ scores that gate\.", text)  # four questions show nothing
    assert text.count('class="fates ') == 2


def test_a_page_says_at_once_what_of_the_gate_got_worse(towers, tmp_path):  # noqa: F811
    base, worse = (run(towers, out=tmp_path / name, kb=WordSearch(least=n)) for name, n in (("a", 1), ("b", 9)))
    text = page(worse, base)
    assert "<b class=worse>worse</b>: answer contains gold, token F1, answer in citation @ 1" in text
    assert re.search(r"<b>0.000 <small class=worse>-1.000</small></b><span>right, or rightly withheld", text)
    assert 'svg class="interval worse"' in text
    assert "<b class=better>better</b>: answer contains gold" in page(base, worse)


def test_a_follow_up_is_shown_with_what_came_before(tmp_path):
    row = outcome(found={})
    row.case["history"] = ["When was <it> lit?", ["And then?", "In 1868."]]
    text = card(row, "seen, not cited", None)
    assert "When was &lt;it&gt; lit?" in text
    assert "And then? → In 1868." in text
    assert MEANING["seen, not cited"] in text


def test_an_error_is_a_card_with_its_message(suite, tmp_path):  # noqa: F811
    text = page(run(suite, out=tmp_path / "run", kb=WordSearch(fails="tower")))
    assert "RuntimeError: the model went away" in text
    assert 'data-outcome="error"' in text


def test_a_run_of_retrieval_alone_has_a_page_too(suite, tmp_path):  # noqa: F811
    text = page(run(suite, out=tmp_path / "run", kb=WordSearch(), ask=False))
    assert "Passages within 2000 tokens" in text
    assert "retrieval only" in text


def test_marks_part_where_citation_and_gold_overlap():
    html = marked("It was lit & kept.", "a", 10, [("a", 13, 20)], [("a", 17, 22), ("b", 0, 99)])
    assert re.sub(r"<[^>]+>", "", html) == "It was lit &amp; kept."
    assert html == (
        'It <span class="cited">was </span><span class="cited gold">lit</span><span class="gold"> &amp;</span> kept.'
    )


def test_far_from_any_mark_a_brief_passage_is_cut():
    html = marked("x" * 5000 + "GOLD", "a", 0, [], [("a", 5000, 5004)], brief=True)
    assert len(html) < 600
    assert "[…]" in html


# Fates


def outcome(cited=(), passages=(), candidates=(), found=None, evidence=None):
    def rows(spans):
        return [{"doc": doc, "start": start, "end": end} for doc, start, end in spans]

    case = {"id": "q", "question": "?", "answerable": True,
            "evidence": evidence or [{"doc": "a", "quote": "x", "start": 0, "end": 10, "page": None}]}  # fmt: skip
    answer = {"citations": rows(cited), "passages": rows(passages), "conflicts": [],
              "trace": {"candidates": rows(candidates)}}  # fmt: skip
    return Row("q", "", "", "", case=case, answer=None if found is not None else answer, found=found or {})


@pytest.mark.parametrize(
    ("row", "fate"),
    [
        (outcome(cited=[("a", 0, 5)], passages=[("a", 0, 99)]), "cited"),
        (outcome(cited=[("a", 0, 4)], passages=[("a", 0, 99)]), "seen, not cited"),
        (outcome(passages=[("b", 0, 99)], candidates=[("a", 0, 99)]), "over budget"),
        (outcome(passages=[("b", 0, 99)]), "not retrieved"),
        (outcome(evidence=[{"doc": "a", "quote": "x", "start": None, "end": None, "page": 3}]), "unknown"),
    ],
)
def test_the_fate_of_the_evidence(row, fate):
    assert fate_of(row, 1500) == fate


def test_of_alternatives_the_best_and_of_a_pair_the_worst():
    one = {"doc": "a", "quote": "x", "start": 0, "end": 10, "page": None}
    two = {"doc": "b", "quote": "y", "start": 0, "end": 10, "page": None}
    both = outcome(cited=[("a", 0, 10)], evidence=[one, two])
    either = outcome(cited=[("a", 0, 10)], evidence=[{**one, "group": 1}, {**two, "group": 2}])
    assert (fate_of(both, 1500), fate_of(either, 1500)) == ("not retrieved", "cited")


def test_without_answers_the_answerers_budget_decides():
    found = {"500": [], "1000": [["a", 0, 10, None, 9]], "2000": [["a", 0, 10, None, 9]]}
    assert fate_of(outcome(found=found), 1500) == "seen, not cited"
    assert fate_of(outcome(found=found), 600) == "over budget"


def test_plots_hold_a_point_a_step_and_a_bubble_a_bin():
    assert risk_coverage([(0.25, 0.0, 0.9), (0.5, 0.5, 0.4)]).count("<circle") == 1
    assert calibration([(0.15, 0.0, 1), (0.95, 0.5, 2)]).count("<title>") == 2
