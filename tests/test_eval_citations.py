"""Citations against documents and gold."""

import pytest

from evals.metrics.citations import answer_in_citation, quote_verified, side_cited
from rag.values import Citation

TEXTS = {"a.txt": "The siren fell silent in 1988. Nobody wept.", "b.txt": "It was switched off in 1991, they say."}


def cite(doc, quote, start=None):
    start = TEXTS[doc].index(quote) if start is None else start
    return Citation(1, doc, start, start + len(quote), None, quote)


def test_a_quote_is_verified_character_by_character():
    right, shifted = cite("a.txt", "Nobody wept."), cite("a.txt", "Nobody wept.", start=30)
    assert quote_verified([right], TEXTS.get) == 1.0
    assert quote_verified([right, shifted], TEXTS.get) == 0.5


def test_a_quote_from_an_unknown_document_is_wrong_not_unscored():
    assert quote_verified([Citation(1, "gone.txt", 0, 1, None, "x")], TEXTS.get) == 0.0


def test_a_negative_or_empty_range_is_not_verified():
    assert quote_verified([Citation(1, "a.txt", -5, 43, None, "wept."[:5])], TEXTS.get) == 0.0
    assert quote_verified([Citation(1, "a.txt", 3, 3, None, "")], TEXTS.get) == 0.0


def test_without_citations_there_is_nothing_to_verify():
    assert quote_verified([], TEXTS.get) is None


def test_the_answer_is_looked_for_in_the_first_citation_or_in_all():
    citations = [cite("a.txt", "Nobody wept."), cite("a.txt", "The siren fell silent in 1988.")]
    assert answer_in_citation(citations, ["1988"], first=1) == 0.0
    assert answer_in_citation(citations, ["1988"]) == 1.0


def test_an_answer_without_citations_has_its_answer_in_none():
    assert answer_in_citation([], ["1988"]) == 0.0


def test_a_declared_number_may_be_written_otherwise_in_the_quote():
    citation = Citation(1, "a.txt", 0, 1, None, "spending of 1,577 million")
    assert answer_in_citation([citation], ["$1.58 billion"]) == 0.0
    assert answer_in_citation([citation], ["$1.58 billion"], rel_tol=0.01) == 1.0


@pytest.mark.parametrize(
    ("quote", "cited"),
    [("The siren fell silent in 1988. Nobody wept.", True), ("in 1988", True), ("Nobody wept.", False)],
)
def test_a_side_is_cited_by_half_of_its_evidence_or_by_its_value_from_its_document(quote, cited):
    evidence = [("a.txt", 0, 30)]
    assert side_cited([cite("a.txt", quote)], evidence, {"a.txt"}, ["1988"]) is cited


def test_the_value_in_another_document_does_not_cite_a_side():
    assert not side_cited([cite("b.txt", "in 1991")], [("a.txt", 0, 30)], {"a.txt"}, ["1991"])
