"""Labels in a model's text become numbered citations, however they are written and however the text was cut."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.citations import Cite, CitedText, Footnotes, LabelParser
from rag.context import Context, Source
from rag.labels import HOLD, defused
from rag.values import CitationEvent, TextDelta

LABELS = frozenset(f"b{i}.{j}" for i in (1, 2, 3) for j in (1, 2, 3, 4))
FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "[b1.1]",
                "[b1.2, b3.1]",
                "【b2.1】",
                "(see b1.2)",
                "[b99.1]",
                "[b3]",
                "b1.4",
                "`[b1.1]`",
                "[B2.2]",
                "[b1.1-3]",
            ]
        ),
        st.sampled_from(
            [
                "[",
                "]",
                "(",
                ")",
                "{",
                "<",
                ">",
                "<sup>",
                "</sup>",
                "](#b",
                "b",
                "1",
                "2",
                ".",
                ",",
                ";",
                "-",
                " ",
                "\n",
                "`",
                "*",
                "**",
                "^",
                "【",
                "】",
            ]
        ),
        st.sampled_from(
            ["The tower", " is 30 m", ". ", "! Next", "source ", "see ", "and ", "[12]", "- ", "Dr. ", "。", '"']
        ),
        st.text(max_size=3),
    ),
    max_size=25,
)


def parsed(text: str, *cuts: int) -> tuple[list[str | Cite], list[str]]:
    """What the parser gives for text cut there, text pieces joined."""
    parser = LabelParser(LABELS)
    out: list[str | Cite] = []
    edges = sorted({0, *(cut for cut in cuts if cut <= len(text)), len(text)})
    for start, end in pairwise(edges):
        out += parser.feed(text[start:end])
    out += parser.close()
    joined: list[str | Cite] = []
    for piece in out:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined, parser.dropped


def context() -> Context:
    def source(label: str, start: int) -> Source:
        return Source(label, "a.md", start, start + 10, None, f"quote {label}")

    sources = {label: source(label, 100 * i) for i, label in enumerate(sorted(LABELS))}
    return Context("", sources, {f"b{i}": source(f"b{i}", 9000 + i) for i in (1, 2, 3)})


CONTEXT = context()


def cited(text: str, *, question: str = "", by_character: bool = False) -> CitedText:
    out = CitedText(context(), question)
    for delta in text if by_character else [text]:
        out.feed(delta)
    out.close()
    return out


def numbers(out: CitedText) -> list[tuple[str, list[int]]]:
    return [(text, [c.number for c in citations]) for text, citations in out.sentences]


# The parser


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("[b1.2]", ["b1.2"]),
        ("[b1.2, b3.1]", ["b1.2", "b3.1"]),
        ("[b1.2; b1.3]", ["b1.2", "b1.3"]),
        ("[b1.2 and b2.1]", ["b1.2", "b2.1"]),
        ("[b1.2, 4]", ["b1.2", "b1.4"]),
        ("[b1.2-b1.4]", ["b1.2", "b1.3", "b1.4"]),
        ("[b1.2–4]", ["b1.2", "b1.3", "b1.4"]),
        ("[b1.4 to b1.2]", ["b1.2", "b1.3", "b1.4"]),
        ("[b1.4-b2.1]", ["b1.4", "b2.1"]),
        ("【b1.2】", ["b1.2"]),
        ("【b1.2†source】", ["b1.2"]),
        ("（b1.2）", ["b1.2"]),
        ("(b1.2)", ["b1.2"]),
        ("([b1.2], [b2.1])", ["b1.2", "b2.1"]),
        ("[[b1.2]]", ["b1.2"]),
        ("[source b1.2]", ["b1.2"]),
        ("[Sources: b1.2, b2.1]", ["b1.2", "b2.1"]),
        ("(see b1.2)", ["b1.2"]),
        ("(see b3)", ["b3.1", "b3.2", "b3.3", "b3.4"]),
        ("[^b1.2]", ["b1.2"]),
        ("`[b1.2]`", ["b1.2"]),
        ("`b1.2`", ["b1.2"]),
        ("**[b1.2]**", ["b1.2"]),
        ("[B1.2]", ["b1.2"]),
        ("[b1.2】", ["b1.2"]),
        ("{b1.2}", ["b1.2"]),
        ("<b1.2>", ["b1.2"]),
        ("<sup>b1.2</sup>", ["b1.2"]),
        ("<sup>[b1.2]</sup>", ["b1.2"]),
        ("[b1.2](#b1.2)", ["b1.2"]),
        ("[b1.2](https://example.org/a.html#x)", ["b1.2"]),
        ("[b1.2](a.md)", ["b1.2"]),
        ("[@b1.2]", ["b1.2"]),
        ("［b1.2］", ["b1.2"]),
        ("[b1.2, b1.2]", ["b1.2"]),
        ("[b1.2b2.1]", ["b1.2", "b2.1"]),
        ("[b3]", ["b3.1", "b3.2", "b3.3", "b3.4"]),
    ],
)
def test_each_way_to_write_a_label_is_understood(text, labels):
    out, dropped = parsed(f"30 m {text}.")
    assert [piece.labels for piece in out if isinstance(piece, Cite)] == [tuple(labels)]
    assert "".join(piece for piece in out if isinstance(piece, str)) == "30 m ."
    assert dropped == []


def test_neighbouring_groups_are_two_citations():
    assert parsed("[b1.2][b2.1]")[0] == [Cite(("b1.2",)), Cite(("b2.1",))]


def test_a_passage_with_a_label_of_its_own_is_that_label():
    parser = LabelParser({*LABELS, "b3"})
    assert parser.feed("[b3]") + parser.close() == [Cite(("b3",))]


@pytest.mark.parametrize(
    "text",
    [
        "[12]", "[12, 13]", "(Smith 2020)", "(see Smith 2020)", "a[b3]c", "vitamin (B12)", "item (b1)", "x = [b]",
        "[B12]", "(as)", "b", "b1", "because", "version b1.2.3", "foo_b1.2", "1.0b1.2", "Table B1.2", "[ ]", "[link](http://x)",
        "f(a, b)", "(from 1990 to 2000)", "**bold** and `code`", "((((((", "[see", "(b",
    ],
)  # fmt: skip
def test_what_is_no_label_of_ours_passes_unchanged(text):
    assert parsed(text) == ([text], [])
    assert parsed(text, *range(len(text))) == ([text], [])


def test_a_label_that_does_not_exist_never_comes_out_and_is_counted():
    out, dropped = parsed("A [b99.1], B [b1.1, b1.77], C b7.7, D [b9], E [b1.3-b1.9], F 【B99.2】, G [b1.2.3].")
    assert [piece.labels for piece in out if isinstance(piece, Cite)] == [
        (),
        ("b1.1",),
        (),
        (),
        ("b1.3", "b1.4"),
        (),
        (),
    ]
    assert "".join(piece for piece in out if isinstance(piece, str)) == "A , B , C , D , E , F , G ."
    assert dropped == ["b99.1", "b1.77", "b7.7", "b9", "b1.9", "b99.2", "b1.2.3"]


def test_a_word_that_the_question_brings_along_is_no_label_unless_in_brackets():
    parser = LabelParser(LABELS, literal={"b1.2"})
    assert parser.feed("Since b1.2 it is faster [b1.2].") == ["Since b1.2 it is faster ", Cite(("b1.2",)), "."]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("30 m [b1.", "30 m "), ("30 m [b1.1", "30 m "), ("30 m [b", "30 m "), ("30 m (see b1.2", "30 m ")],
)
def test_half_a_label_at_the_end_of_a_reply_is_never_shown(text, shown):
    out, dropped = parsed(text)
    assert "".join(piece for piece in out if isinstance(piece, str)) == shown
    assert [piece.labels for piece in out if isinstance(piece, Cite)] == [()]
    assert dropped == []


def test_whole_labels_before_the_half_one_count():
    assert parsed("30 m [b1.1, b1.2, b2")[0] == ["30 m ", Cite(("b1.1", "b1.2"))]


def test_text_that_can_be_no_label_is_given_at_once():
    parser = LabelParser(LABELS)
    assert parser.feed("The tower") == ["The tower"]
    assert parser.feed(" (S") == [" "]
    assert parser.feed("mi") == ["(Smi"]
    assert parser.feed(" [b1") == [" "]
    assert parser.feed("2x") == ["[b12x"]


@given(FRAGMENTS, st.lists(st.integers(0, 60), max_size=5))
@settings(max_examples=200, deadline=None)
def test_how_the_text_is_cut_changes_nothing(fragments, cuts):
    text = "".join(fragments)
    whole = parsed(text)
    assert parsed(text, *range(len(text))) == whole
    assert parsed(text, *cuts) == whole


@given(FRAGMENTS)
@settings(max_examples=100, deadline=None)
def test_never_more_is_held_back_than_a_label_group_is_long(fragments):
    parser, given_back = LabelParser(LABELS), 0
    text = "".join(fragments) + "[b1.1, " * 60
    for i, char in enumerate(text, start=1):
        given_back += sum(len(piece) if isinstance(piece, str) else HOLD for piece in parser.feed(char))
        assert i - given_back <= HOLD + 1


@given(FRAGMENTS)
@settings(max_examples=200, deadline=None)
def test_a_defused_text_holds_no_label(fragments):
    text = defused("".join(fragments))
    parser = LabelParser(LABELS)
    pieces = parser.feed(text) + parser.close()
    assert [piece.labels for piece in pieces if isinstance(piece, Cite) and piece.labels] == []
    assert parser.dropped == []


# Footnotes and the text with markers


def test_each_span_has_one_number_from_1_in_the_order_of_first_citation():
    notes, sources = Footnotes(), context().sources
    first, new = notes.cite(sources["b2.1"])
    assert (first.number, first.quote, new) == (1, "quote b2.1", True)
    assert notes.cite(sources["b1.1"])[0].number == 2
    assert notes.cite(sources["b2.1"]) == (first, False)
    assert [c.number for c in notes.citations] == [1, 2]


@pytest.mark.parametrize(
    ("text", "shown", "sentences"),
    [
        ("The tower is 30 m [b1.1]. Next", "The tower is 30 m [1]. Next", [("The tower is 30 m.", [1]), ("Next", [])]),
        ("The tower is 30 m. [b1.1] Next", "The tower is 30 m [1]. Next", [("The tower is 30 m.", [1]), ("Next", [])]),
        ("It is 30 m. [b1.1]. Next", "It is 30 m [1]. Next", [("It is 30 m.", [1]), ("Next", [])]),
        ("It is 30 m.[b1.1]Next", "It is 30 m [1]. Next", [("It is 30 m.", [1]), ("Next", [])]),
        ("It is old. [b1.1] [b1.2]\n\nNext.", "It is old [1][2].\n\nNext.", [("It is old.", [1, 2]), ("Next.", [])]),
        ("It is old [b1.1], [b1.2].", "It is old [1][2].", [("It is old.", [1, 2])]),
        ("It is old [b1.1] and [b1.2].", "It is old [1] and [2].", [("It is old.", [1, 2])]),
        ("It is old [b1.1], not new [b1.2].", "It is old [1], not new [2].", [("It is old, not new.", [1, 2])]),
        ('"It is old." [b1.1] Next', '"It is old [1]." Next', [('"It is old."', [1]), ("Next", [])]),
        ("**It is old.** [b1.1] Next", "**It is old [1].** Next", [("**It is old.**", [1]), ("Next", [])]),
        ("Is it old? [b1.1]", "Is it old [1]?", [("Is it old?", [1])]),
        ("塔高30米。[b1.1]然后。", "塔高30米 [1]。然后。", [("塔高30米。", [1]), ("然后。", [])]),
        ("It is old.\n[b1.1]\nIt is new.", "It is old [1].\nIt is new.", [("It is old.", [1]), ("It is new.", [])]),
        ("[b1.1] It is old. Next", "It is old [1]. Next", [("It is old.", [1]), ("Next", [])]),
        (
            "[b1.1] It is Dr. Smith. [b1.2] It is old. [b1.3] End.",
            "It is Dr. Smith [1]. It is old [2]. End [3].",
            [("It is Dr. Smith.", [1]), ("It is old.", [2]), ("End.", [3])],
        ),
        ("- [b1.1] Old\n- New [b1.2]", "- Old [1]\n- New [2]", [("Old", [1]), ("New", [2])]),
        ("1. [b1.3] Big\n", "1. Big [1]", [("Big", [1])]),
        ("According to b1.2, it is old.", "According to [1], it is old.", [("According to, it is old.", [1])]),
        ("b1.2 says that it is old.", "[1] says that it is old.", [("says that it is old.", [1])]),
        ("It is old [b3].", "It is old [1].", [("It is old.", [1])]),
        ("It is old [b99.1]. Next [b99.1] one.", "It is old. Next one.", [("It is old.", []), ("Next one.", [])]),
        ("[b99.1] It is old.\n[b99.2] Next", "It is old.\nNext", [("It is old.", []), ("Next", [])]),
        ("## Age\n\nOld [b1.1].\n\nSources: [b1.1], [b1.2]", "## Age\n\nOld [1].\n\nSources: [1][2]", [("Old.", [1])]),
        ("It is old [b1.1", "It is old", [("It is old", [])]),
    ],
)  # fmt: skip
def test_a_marker_stands_after_the_word_and_before_the_full_stop(text, shown, sentences):
    out = cited(text)
    assert out.text == shown
    assert numbers(out) == sentences


def test_the_number_of_somebody_else_does_not_look_like_ours():
    assert cited("As shown [1] before [b1.1]; `x[1]` is code.").text == "As shown ［1］ before [1]; `x[1]` is code."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- [b1.1]: It is 30 m high.", "- It is 30 m high [1]."),
        ("It is 30 m high [b1.1](https://example.org). It is old.", "It is 30 m high [1]. It is old."),
        ("It is 30 m high <sup>[b1.1]</sup>.", "It is 30 m high [1]."),
        ("See <b>this</b> and {x} and a < b.", "See <b>this</b> and {x} and a < b."),
        ("Read [this](https://example.org/b1).", "Read [this](https://example.org/b1)."),
    ],
)
def test_what_models_put_around_labels_goes_with_them(text, shown):
    assert cited(text).text == shown


# Sentences without a label


def knows(word: str, label: str):
    """A finder that knows one source, by a word of the sentence."""
    return lambda sentence: [CONTEXT.sources[label]] if word in sentence else []


def test_a_sentence_without_a_label_gets_the_source_that_carries_it():
    text = CitedText(CONTEXT, mend=knows("30 m", "b1.2"))
    for piece in ("It is old. It is 3", "0 m high. It is ", "red [b1.1]. It is 30 m [b1.1]. Again: 30 m"):
        text.feed(piece)
    text.close()
    assert text.text == "It is old. It is 30 m high [1]. It is red [2]. It is 30 m [2]. Again: 30 m [1]"
    assert text.mended == 2
    assert [len(citations) for _, citations in text.sentences] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("text", ["# The tower of 30 m\n", "**30 m**\n", "```\n", "Sources:"])
def test_headings_are_given_no_source(text):
    shown = CitedText(CONTEXT, mend=lambda sentence: [CONTEXT.sources["b1.1"]])
    shown.feed(text)
    shown.close()
    assert shown.citations == ()


@given(FRAGMENTS)
@settings(max_examples=100, deadline=None)
def test_mended_or_not_the_cutting_changes_nothing(fragments):
    text = "".join(fragments)
    shown = []
    for cuts in ([text], list(text)):
        one = CitedText(CONTEXT, mend=lambda sentence: [CONTEXT.sources["b1.1"]] if len(sentence) % 2 else [])
        events = [event for cut in cuts for event in one.feed(cut)] + one.close()
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == one.text
        shown.append((one.text, one.sentences, one.citations, one.dropped, one.mended))
    assert shown[0] == shown[1]


def test_what_was_dropped_is_counted():
    assert cited("Old [b99.1].").dropped == ("b99.1",)
    assert cited("Since b2.9 it is old [b1.1].", question="What changed in b2.9?").text == "Since b2.9 it is old [1]."


def test_a_citation_comes_before_the_text_with_its_marker():
    out = CitedText(context())
    events = [*out.feed("It is old [b1.1]. It is new [b1.1][b2.1]."), *out.close()]
    kinds = [e.citation.number if isinstance(e, CitationEvent) else e.text for e in events]
    assert kinds == ["It is old", 1, " [1]. It is new [1]", 2, "[2]", "."]


def test_text_is_shown_as_soon_as_it_is_certain():
    out = CitedText(context())
    assert out.feed("The tower") == [TextDelta("The tower")]
    assert out.feed(" is 30 m. ") == [TextDelta(" is 30 m")]
    assert out.feed("N") == [TextDelta(". N")]


@given(FRAGMENTS)
@settings(max_examples=300, deadline=None)
def test_streamed_and_final_are_the_same_and_every_marker_is_right(fragments):
    text = "".join(fragments)
    whole, slow = CitedText(context()), CitedText(context())
    events = [*whole.feed(text), *whole.close()]
    for char in text:
        slow.feed(char)
    slow.close()
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == whole.text == slow.text
    assert (whole.sentences, whole.citations, whole.dropped) == (slow.sentences, slow.citations, slow.dropped)
    assert not re.search(r"[\[【（(]\s*b\d+\.\d+\s*[\]】）)]|(?<![\w.·/])b\d+\.\d+(?=[\s,;:!?])", whole.text)
    known: set[int] = set()
    for event in events:
        if isinstance(event, CitationEvent):
            known.add(event.citation.number)
        elif "`" not in text:
            assert {int(n) for n in re.findall(r"\[(\d{1,3})\]", event.text)} <= known
    assert known == {c.number for c in whole.citations}
    for _, citations in whole.sentences:
        assert {c.number for c in citations} <= known
