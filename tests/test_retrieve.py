from pathlib import Path

import numpy as np
import pytest
from conftest import WordHash

from index.errors import QueryError
from index.terms import query_terms
from rag.answer import Rag
from rag.retrieve import ranks
from rag.scoring import (
    DISTINCTION_SHARE,
    PLACE_SHARE,
    best_of_document,
    best_rows,
    dense_share,
    distinction,
    fuse,
    meaning,
    named,
    places,
    region,
    rivals,
    smooth,
    spread,
)


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
    with pytest.raises(QueryError, match=r"'colour'.*doc, folder, heading, kind.*title"):
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
    fused = fuse(meaning(np.array([0.2, 0.4, 0.25]), 0.5), np.array([10.0, 0.0, 5.0]), 0.5)
    np.testing.assert_allclose(fused, np.array([0.5, 0.5, 0.375]) + PLACE_SHARE / np.array([3, 1, 2]))


def test_the_first_places_of_the_allowed_chunks_count() -> None:
    scores, allowed = np.array([0.1, 0.9, 0.5, 0.7]), np.array([True, False, True, True])
    np.testing.assert_allclose(places(scores), [1 / 4, 1, 1 / 3, 1 / 2])
    np.testing.assert_allclose(places(scores, allowed), [1 / 3, 0, 1 / 2, 1])
    many = np.linspace(1, 0, 50)
    np.testing.assert_allclose(places(many)[:12], [*(1 / np.arange(1, 11)), 0, 0])


def test_a_term_that_all_rivals_hold_tells_little() -> None:
    every, one = np.arange(10, dtype=np.int32), np.array([3], np.int32)
    post = {"game": (every, np.ones(10)), "reviews": (one, np.ones(1)), "absent": (one[:0], np.ones(0))}
    told = distinction(np.arange(10), post, 10)
    assert told["absent"] == 1
    assert 1 - DISTINCTION_SHARE < told["game"] < 0.25 < told["reviews"] < 1


def test_rivals_are_the_best_allowed_chunks() -> None:
    fused = np.arange(300, dtype=np.float32)
    assert sorted(rivals(fused)) == list(range(200, 300))
    assert sorted(rivals(fused, fused < 3)) == [0, 1, 2]
    assert len(rivals(np.empty(0, np.float32))) == 0


def test_a_document_is_as_good_as_its_best_allowed_chunk() -> None:
    scores, documents = np.array([0.0, 4.0, 1.0, 2.0]), np.array([0, 0, 1, 2])
    np.testing.assert_allclose(best_of_document(scores, documents, 4), [1, 0, 1 / 3, 0])
    allowed = np.array([True, False, True, True])
    np.testing.assert_allclose(best_of_document(scores, documents, 3, allowed), [0, 0.5, 1])


def test_the_question_names_one_of_many_versions(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add("---\nparty: Harbour Office\n---\nThe tenant pays the rent monthly. Notice is ninety days.", "lease.md")
    for year in range(2015, 2025):
        said = f"Notice is {year % 7 + 20} days. It follows the contract of {year - 1}. Rent is paid monthly."
        kb.add(f"# Contract {year}\n\n{said}", f"contract-{year}.md")
    with kb.index.reading() as snapshot:
        share = named(snapshot, np.arange(len(snapshot)), query_terms("notice of the 2021 contract"))
        best = {snapshot.docs[row]: float(share[row]) for row in np.flatnonzero(share == share.max())}
        assert list(best) == ["contract-2021.md"]
        assert best["contract-2021.md"] == pytest.approx(1)
        party = named(snapshot, np.arange(len(snapshot)), query_terms("rent of the harbour office"))
        assert snapshot.docs[int(party.argmax())] == "lease.md"
        assert not named(snapshot, np.arange(len(snapshot)), query_terms("monthly rent")).any()
    for year in range(2015, 2025):
        assert kb.search(f"What notice does the {year} contract ask for?", tokens=60)[0].doc == f"contract-{year}.md"


def test_a_comparison_divides_the_budget_between_what_it_names(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    said = ["heats 40 litres an hour", "weighs 31 kilograms", "costs 890 euros", "is made in Porto", "is quiet"]
    kb.add("# Alpha boiler\n\n" + " ".join(f"The Alpha boiler {what}." for what in said), "alpha.md")
    kb.add("# Beta boiler\n\nIt heats 55 litres an hour. It weighs 48 kilograms. It costs little.", "beta.md")
    kb.add("# Boilers\n\nA boiler heats water. A boiler is bought and compared by the litre.", "boilers.md")

    def tokens(question: str, budget: int) -> dict[str, int]:
        spent: dict[str, int] = {}
        for passage in kb.search(question, tokens=budget):
            spent[passage.doc] = spent.get(passage.doc, 0) + passage.tokens
        return spent

    for budget in (30, 50):
        spent = tokens("Compare the Alpha boiler with the Beta boiler", budget)
        assert spent["beta.md"] >= budget / 4
        assert spent["alpha.md"] >= budget / 4
        assert sum(spent.values()) <= budget
    # One name alone divides nothing, nor does a question that names no document.
    assert not kb.retrieve("How heavy is the Alpha boiler?", tokens=50).scores.named
    assert not kb.retrieve("Which weighs 48 kilograms?", tokens=50).scores.named


def test_a_filter_knows_the_short_sections_inside_a_chunk(tmp_path, words: WordHash) -> None:
    docs = tmp_path / "notes"
    docs.mkdir()
    (docs / "a.md").write_text("# Codes\n\n## Pumps\n\nE-1 is a clog.\n\n## Lids\n\nE-2 is an open lid.\n", "utf-8")
    (docs / "b.py").write_text("# Pumps\nprint('no heading, a comment about a clog')\n", "utf-8")
    kb = Rag(tmp_path / "index", embedder=words)
    kb.sync(docs)
    for heading in ("pumps", "Lids", "Codes", "L*"):
        assert {p.doc for p in kb.search("clog lid", where={"heading": heading})} == {"a.md"}, heading
    assert not kb.search("clog lid", where={"heading": "valves"})
    assert {p.doc for p in kb.search("clog lid", where={"heading": {"!=": "Pumps"}})} == {"b.py"}


def test_k_does_not_spend_a_place_on_a_copy(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    for doc, year in (("a.txt", 1868), ("b.txt", 1868), ("c.txt", 1869)):
        kb.add(f"The tower was built from granite in the spring of {year}.", doc)
    found = kb.search("granite tower built", k=2)
    assert sorted(p.text[-5:] for p in found) == ["1868.", "1869."]
    fates = {fate.doc: fate.fate for fate in kb.retrieve("granite tower built", k=2).fates}
    assert sorted(fates.values()) == ["duplicate", "packed", "packed"]
    assert fates["c.txt"] == "packed"


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
    assert dense_share(3) == dense_share(5) < dense_share(10) < dense_share(40) == 0.85


def test_the_best_rows_are_those_of_the_whole_order() -> None:
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(40), 50)
    for pages in (np.zeros(2000, int), np.tile(np.repeat(np.arange(1, 6), 10), 40), np.ones(2000, int)):
        scores = rng.random(2000)
        scores[rng.random(2000) < 0.1] = -np.inf
        whole = np.argsort(-spread(scores, documents, pages), kind="stable")
        for count in (1, 7, 60, 5000):
            order, final = best_rows(scores, documents, pages, count)
            assert order.tolist() == [row for row in whole if np.isfinite(scores[row])][:count]
            np.testing.assert_allclose(final[order], spread(scores, documents, pages)[order])


def test_ranks_count_what_is_better() -> None:
    assert ranks(np.array([0.5, 0.1, 0.9]), [0.9, 0.1, 0.5]) == [1, 3, 2]


def test_the_lexical_search_is_that_of_fts5(kb: Rag) -> None:
    """An oracle: SQLite's own ranking of the same words."""
    for question in ("tower keeper ferry", "1868", "nest cliffs tower tower", "absent"):
        words = query_terms(question)
        with kb.index.reading() as snapshot:
            rows, values = snapshot.lexical(words, 100)
            found = dict(zip(snapshot.ids[rows].tolist(), values.tolist(), strict=True))
            match = " OR ".join(f'"{word}"' for word in words)
            expected = dict(
                snapshot._db.execute("SELECT rowid, -rank FROM lexicon WHERE lexicon MATCH ?", (match,)).fetchall()
            )
        assert found == pytest.approx(expected, rel=1e-5)


def test_only_the_best_lexical_hits_are_kept(kb: Rag) -> None:
    with kb.index.reading() as snapshot:
        rows, values = snapshot.lexical(["tower", "nest"], 100)
        kept, best = snapshot.lexical(["tower", "nest"], 1)
    assert best.tolist() == [values.max()]
    assert kept.tolist() == [rows[values.argmax()]]


def test_a_budget_smaller_than_any_sentence_says_so(kb: Rag) -> None:
    found = kb.retrieve("When was the tower built?", tokens=1)
    assert found.passages == ()
    assert "budget of 1" in found.note


def test_a_search_says_how_long_each_stage_took(kb: Rag) -> None:
    timings = kb.retrieve("tower", tokens=50).timings
    assert {"embed", "dense", "lexical", "fuse", "pack"} <= set(timings)
    assert all(seconds >= 0 for seconds in timings.values())


def test_a_very_long_question_is_cut_to_its_rarest_words_and_says_so(kb: Rag) -> None:
    question = " ".join(f"{word}{number}" for number in range(3000) for word in ("granite", "tower", "slate"))
    assert len(question) > 30_000
    assert "64 rarest" in kb.retrieve(f"{question} keeper", tokens=50).note
    assert kb.retrieve("tower", tokens=50).note == ""


def test_chunks_of_one_passage_are_packed_once_and_merged(tmp_path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add(" ".join(f"Tower {n} has a stone of number {n}." for n in range(40)), "a.txt")
    found = kb.retrieve("tower stone", tokens=2000)
    fates = [fate.fate for fate in found.fates]
    assert len(found.passages) == 1
    assert fates.count("packed") == 1
    assert fates.count("merged") == len(fates) - 1 > 0


def test_a_change_of_the_index_is_seen_by_the_kept_postings(kb: Rag) -> None:
    assert kb.search("ferry", k=1)[0].doc == "ferry.txt"
    kb.remove("ferry.txt")
    kb.add("A new ferry boat.", "new.txt")
    assert {p.doc for p in kb.search("ferry", k=9)} == {"new.txt", "tower.md", "sub/birds.txt"}


def test_passages_are_the_same_however_much_is_read_at_a_time(tmp_path, words: WordHash, monkeypatch) -> None:
    """Chunks that are never read could not have been chosen."""
    kb = Rag(tmp_path / "index", embedder=words)
    rng = np.random.default_rng(0)
    vocabulary = "tower keeper ferry stone granite puffin lamp harbour island storm night ledger".split()
    for number in range(12):
        said = [" ".join(rng.choice(vocabulary, 9)).capitalize() + f" {number} {i}." for i in range(60)]
        kb.add("\n\n".join(" ".join(said[i : i + 5]) for i in range(0, 60, 5)), f"{number}.txt")
    questions = ["tower keeper", "puffin storm night granite", "ledger"]
    few = [kb.search(q, tokens=t) for q in questions for t in (30, 200, 600)]
    monkeypatch.setattr("rag.packing._FIRST_READ", 10**6)
    assert [kb.search(q, tokens=t) for q in questions for t in (30, 200, 600)] == few


def test_an_inflected_word_is_found_in_a_document_of_its_language(tmp_path: Path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add("Die alten Häuser am Hafen wurden im Winter des Jahres 1868 von den Fischern verlassen.", doc="hafen.txt")
    kb.add("The ferry sails at noon, and a ticket costs eighteen pounds for every adult.", doc="ferry.txt")
    kb.add("Puffins nest in burrows on the island, and kittiwakes on its cliffs.", doc="birds.txt")
    assert kb.document("hafen.txt").meta["language"] == "de"
    found = kb.search("Welches Haus?", k=1)[0]
    assert (found.doc, found.lexical > 0) == ("hafen.txt", True)
