import numpy as np
import pytest
from conftest import WordHash

from index.errors import QueryError
from rag.answer import Rag
from rag.retrieve import dense_share, fuse, region, smooth, spread


@pytest.fixture
def kb(folder, words: WordHash, tmp_path) -> Rag:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.sync(folder)
    return kb


def test_the_passage_that_holds_the_words_comes_first(kb: Rag) -> None:
    best = kb.search("When was the tower built?")[0]
    assert best.doc == "tower.md"
    assert kb.document(best.doc).text[best.start : best.end] == best.text


def test_the_budget_is_kept(kb: Rag) -> None:
    from index.tokens import count_tokens

    for budget in (1, 12, 20, 40, 1000):
        passages = kb.search("tower keeper ferry puffin", tokens=budget)
        assert sum(p.tokens for p in passages) <= budget
        assert all(p.tokens == count_tokens(p.text) for p in passages)


def test_chunks_that_follow_each_other_become_one_passage(kb: Rag) -> None:
    passages = [p for p in kb.search("tower keeper", tokens=1000) if p.doc == "tower.md"]
    assert len(passages) == 1
    assert "1868" in passages[0].text
    assert "Brough" in passages[0].text


def test_text_that_a_document_repeats_is_packed_once_at_its_first_place(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    said = "The tower was built from granite in the spring of 1868."
    filler = "\n\n".join(f"Paragraph {n} is about something else altogether. " * 12 for n in range(3))
    kb.add(f"{said}\n\n{filler}\n\n{said}", "a.txt")
    found = [p for p in kb.search("granite tower built", tokens=900) if "granite" in p.text]
    assert [p.start for p in found] == [0]


def test_a_chunk_that_stands_in_two_documents_is_packed_once(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    for doc in ("b.txt", "a.txt"):
        kb.add("The tower was built from granite in the spring of 1868.", doc)
    assert [p.doc for p in kb.search("granite tower built", tokens=200)] == ["a.txt"]


def test_versions_of_a_document_are_both_shown(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    for doc, year in (("a.txt", 1868), ("b.txt", 1869)):
        kb.add(f"The tower was built from granite on the western cliff. It was lit in {year}.", doc)
    found = {p.doc: p.text for p in kb.search("granite tower built", tokens=200)}
    assert "granite" in found["a.txt"]
    assert "granite" in found["b.txt"]


def test_text_that_differs_in_a_number_is_not_a_repetition(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add("The tower was built from granite in the spring of 1868.", "a.txt")
    kb.add("The tower was built from granite in the spring of 1869.", "b.txt")
    assert {p.doc for p in kb.search("granite tower built", tokens=200)} == {"a.txt", "b.txt"}


def test_the_budget_ends_between_sentences(kb: Rag) -> None:
    (passage,) = kb.search("When was the tower built?", tokens=10)
    assert passage.text == "The tower was built in 1868."


def test_k_gives_that_many_chunks(kb: Rag) -> None:
    assert len(kb.search("tower", k=2)) == 2


def test_a_filter_works_before_ranking(kb: Rag) -> None:
    assert {p.doc for p in kb.search("tower", where={"doc": "sub/*"})} == {"sub/birds.txt"}
    assert {p.doc for p in kb.search("tower", where={"doc": ["ferry.txt", "tower.md"]})} == {"ferry.txt", "tower.md"}
    assert {p.doc for p in kb.search("tower", where={"kind": "md"})} == {"tower.md"}
    assert kb.search("tower", where={"doc": "none.txt"}) == []


def test_an_unknown_field_names_the_known_ones(kb: Rag) -> None:
    with pytest.raises(QueryError, match=r"'colour'.*doc, kind, title"):
        kb.search("tower", where={"colour": "red"})


@pytest.mark.parametrize("question", ["", "   ", "?!", "\n"])
def test_a_question_without_words_is_refused(kb: Rag, question: str) -> None:
    with pytest.raises(QueryError, match="no word"):
        kb.search(question)


@pytest.mark.parametrize(
    "question",
    [
        'tower" OR "x',
        "tower AND NOT (ferry",
        "'; DROP TABLE chunks;",
        "tower* ^ferry",
        "🗼 tower",
        "tower " * 20_000,
    ],
)
def test_no_input_breaks_the_search(kb: Rag, question: str) -> None:
    assert kb.search(question)


@pytest.mark.parametrize("bad", [{"tokens": 0}, {"k": 0}, {"tokens": -5}])
def test_a_budget_of_nothing_is_refused(kb: Rag, bad: dict[str, int]) -> None:
    with pytest.raises(QueryError, match="expected at least 1"):
        kb.search("tower", **bad)


def test_every_candidate_has_a_fate(kb: Rag) -> None:
    fates = kb.retrieve("tower", tokens=25).fates
    assert len(fates) == 3
    assert {fate.fate for fate in fates} == {"packed", "over budget"}
    assert fates[0].dense_rank == 1


def test_fusion_scales_both_searches() -> None:
    fused = fuse(np.array([0.2, 0.4, 0.25]), np.array([10.0, 0.0, 5.0]), 0.5)
    np.testing.assert_allclose(fused, [0.5, 0.5, 0.375])


def test_a_neighbour_lends_a_share_of_its_score_within_its_document() -> None:
    smoothed = smooth(np.array([1.0, 0.0, 0.0, 1.0]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(smoothed, [1.0, 0.3, 0.3, 1.0])


def test_a_region_lends_its_mean_without_the_chunk_itself() -> None:
    lent = region(np.array([0.0, 1.0, 0.0, 0.0]), np.array([0, 0, 0, 1]))
    assert lent[1] == 0
    assert lent[0] > 0
    assert lent[3] == 0  # another document


def test_the_second_chunk_of_a_page_counts_less_and_unpaged_ones_do_not() -> None:
    spent = spread(np.array([0.9, 1.0, 0.8, 0.7]), np.array([0, 0, 0, 1]), np.array([1, 1, 2, 0]))
    np.testing.assert_allclose(spent, [0.65, 1.0, 0.8, 0.7])


def test_long_questions_trust_the_dense_search_more() -> None:
    assert dense_share(3) == dense_share(5) < dense_share(10) < dense_share(40) == 0.75
