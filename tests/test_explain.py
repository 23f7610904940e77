import pytest

from index.errors import DocumentError, QueryError
from rag.answer import Rag
from rag.explain import find_phrase


@pytest.fixture
def kb(folder, words, tmp_path) -> Rag:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.sync(folder)
    return kb


def test_a_phrase_that_was_packed(kb: Rag) -> None:
    told = kb.explain("When was the tower built?", doc="tower.md", phrase="built in 1868")
    assert kb.document("tower.md").text[told.start : told.end] == "built in 1868"
    assert told.verdict == "the phrase is in passage 1."
    (place,) = told.places
    assert (place.fate, place.dense_rank, place.lexical_rank, place.rank) == ("packed", 1, 1, 1)
    assert place.held == ("tower", "built")
    assert place.lacking == ()


def test_a_phrase_that_the_budget_left_out(kb: Rag) -> None:
    told = kb.explain("When was the tower built?", doc="ferry.txt", phrase="18 pounds", tokens=12)
    assert told.places[0].fate == "over budget"
    assert "better passages filled the budget" in told.verdict
    assert told.places[0].lexical_rank is None
    assert told.places[0].lacking == ("tower", "built")
    assert "no hit" in str(told)


def test_a_sentence_left_out_of_a_chunk_that_was_packed(kb: Rag) -> None:
    told = kb.explain("When was the tower built?", doc="tower.md", phrase="34 metres", tokens=10)
    assert told.places[0].fate == "packed"
    assert "other sentences of it" in told.verdict


def test_white_space_and_case_of_the_phrase_do_not_matter(kb: Rag) -> None:
    assert kb.explain("tower", doc="tower.md", phrase="THE  last\nkeeper").start is not None


def test_a_phrase_that_was_never_extracted(kb: Rag) -> None:
    told = kb.explain("tower", doc="tower.md", phrase="nothing of the kind")
    assert told.places == ()
    assert "not in the extracted text" in str(told)


def test_a_filtered_document_keeps_its_ranks(kb: Rag) -> None:
    told = kb.explain("When was the tower built?", doc="tower.md", phrase="1868", where={"doc": "ferry.txt"})
    assert told.places[0].fate == "filtered"
    assert told.places[0].dense_rank == 1
    assert told.places[0].rank is None
    assert "filter" in told.verdict


def test_a_repetition_names_itself(words, tmp_path) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    for doc in ("a.txt", "b.txt"):
        kb.add("The tower was built from granite in the spring of 1868.", doc)
    fates = {doc: kb.explain("granite tower", doc=doc, phrase="granite").places[0].fate for doc in ("a.txt", "b.txt")}
    assert sorted(fates.values()) == ["duplicate", "packed"]


def test_a_chunk_beyond_the_candidates(words, tmp_path) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    for number in range(60):
        kb.add(f"Tower {number} was built of granite.", f"{number:02}.txt")
    kb.add("Puffins nest in burrows.", "birds.txt")
    told = kb.explain("granite tower built", doc="birds.txt", phrase="Puffins", tokens=50)
    assert told.places[0].fate == "not a candidate: beyond rank 42"
    assert told.places[0].rank == 61
    assert told.chunks == 61


def test_a_phrase_across_chunks_shows_both(words, tmp_path) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add("\n\n".join(f"Paragraph {n} tells of stone number {n}. " * 12 for n in range(4)), "a.txt")
    text = kb.document("a.txt").text
    told = kb.explain("stone", doc="a.txt", phrase=text[: len(text) // 2])
    assert len(told.places) > 1
    assert [place.start for place in told.places] == sorted(place.start for place in told.places)


def test_unknown_documents_and_empty_phrases_are_refused(kb: Rag) -> None:
    with pytest.raises(DocumentError, match=r"Did you mean 'tower.md'"):
        kb.explain("tower", doc="towers.md", phrase="x")
    with pytest.raises(QueryError, match="empty"):
        kb.explain("tower", doc="tower.md", phrase=" ")


def test_a_phrase_is_found_as_it_stands_first() -> None:
    assert find_phrase("a B a b", "a b") == (4, 7)
    assert find_phrase("a  B", "a b") == (0, 4)
    assert find_phrase("x", "a.*") is None
