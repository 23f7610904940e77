"""Front matter, sidecars, languages: what of them becomes flat metadata, and what is refused."""

from pathlib import Path

import pytest

from index.documents import plain_document, read_document
from index.errors import DocumentError
from index.metadata import flat, front_matter, language_of, read_sidecar


def test_yaml_front_matter_becomes_metadata_and_the_text_begins_behind_it() -> None:
    text = (
        "---\ntitle: Tides\ndate: 2024-05-03\nAuthor: [Ann, Bo]\ntags: [sea, moon]\nnested:\n  deep: 2\n---\n# Tides\n"
    )
    meta, end = front_matter(text)
    assert meta == {
        "title": "Tides", "date": "2024-05-03", "author": "Ann, Bo", "tags": ["sea", "moon"], "nested.deep": 2,
    }  # fmt: skip
    assert text[end:] == "# Tides\n"


def test_toml_front_matter() -> None:
    assert front_matter('+++\ntitle = "A"\ndate = 2020-01-02\n+++\nText') == ({"title": "A", "date": "2020-01-02"}, 38)


@pytest.mark.parametrize(
    "text",
    [
        "---\nA rule, and text under it: not keys\nat all\n---\n",
        "---\n- a\n- list\n---\n",
        "---\na: &a [x, x]\nb: [*a, *a]\n---\n",
        "---\na: [unclosed\n---\n",
        "Text first\n---\na: 1\n---\n",
        "+++\nbroken =\n+++\n",
        "---\n" + "a: " + "[" * 20_000 + "\n---\n",
    ],
)
def test_what_is_no_front_matter_stays_text(text: str) -> None:
    assert front_matter(text) == ({}, 0)


def test_a_document_takes_title_and_date_from_its_front_matter_and_names_of_ours_are_left_alone() -> None:
    found = plain_document("---\ntitle: Real\ndoc: other.txt\npage: 9\n---\n# Heading\n\nText.", "a.md")
    assert found.title == "Real"
    assert "page" not in found.meta
    assert found.doc == "a.md"


def test_a_sidecar_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: One\nauthor: Ann\n---\nSome text of some length.")
    (tmp_path / "a.md.meta.toml").write_text('title = "Two"\nproject = "x"\n[client]\nname = "Y"\n')
    found = read_document(tmp_path / "a.md", "a.md", 10**6)
    assert (found.title, found.meta["author"], found.meta["project"], found.meta["client.name"]) == (
        "Two",
        "Ann",
        "x",
        "Y",
    )


def test_a_broken_or_greedy_sidecar_is_named() -> None:
    with pytest.raises(DocumentError, match=r"a\.meta\.toml is not valid TOML"):
        read_sidecar(b"title = ", "a.meta.toml")
    with pytest.raises(DocumentError, match="sets doc, page"):
        read_sidecar(b'doc = "x"\npage = 1\n', "a.meta.toml")


def test_flat_keeps_what_filters_and_drops_the_rest() -> None:
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"k": deep}
    many = {f"key{n}": n for n in range(1000)}
    found = flat({"a": None, "b": "", "c": [None, 1], "d": deep, "e": 2**70, "f": True, **many})
    assert "a" not in found
    assert "b" not in found
    assert (found["c"], found["e"], found["f"]) == (["1"], str(2**70), True)
    assert len(found) <= 64


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The ferry sails at noon and a ticket costs eighteen pounds for adults.", "en"),
        ("Der Leuchtturm wurde 1868 gebaut und ist vierunddreissig Meter hoch.", "de"),
        ("Le phare a été construit en 1868 et il mesure trente-quatre mètres de haut.", "fr"),
        (
            "灯塔建于1868年，高三十四米，矗立在海边的岩石上，是附近渔民回家的路标。它在一九九四年之后就不再有人看守。",
            "zh",
        ),
        ("12,345 67 8.9", ""),
        ("", ""),
    ],
)
def test_the_language_is_said_only_when_sure(text: str, code: str) -> None:
    assert language_of(text) == code
