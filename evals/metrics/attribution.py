"""Do the citations carry the sentences, and do they point at the gold? Judges by a function it is given, not by itself.

Recall and precision are ALCE's (Gao et al. 2023, "Enabling Large Language Models to Generate Text with Citations",
EMNLP, sec. 4.3). There a model for textual entailment is the judge; here it is any `carries(sentence, texts)`, and with
`rag.support.support` a lexical one: the numbers compare runs of this program, not with ALCE's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evals.metrics.retrieval import Span, covered, length
from rag.values import Sentence

Carries = Callable[[str, Sequence[str]], bool]


def citation_recall(sentences: Sequence[Sentence], carries: Carries) -> float | None:
    """Share of the sentences that their citations carry, all of a sentence's taken together; None without sentences."""
    return sum(_carried(sentence, carries) for sentence in sentences) / len(sentences) if sentences else None


def citation_precision(sentences: Sequence[Sentence], carries: Carries) -> float | None:
    """Share of the citations that are needed, counted once a sentence; None when nothing is cited.

    A citation counts when its sentence is carried and the citation either carries it alone or is missed by the others.
    """
    total = right = 0
    for sentence in sentences:
        total += len(sentence.citations)
        if not _carried(sentence, carries):
            continue
        for citation in sentence.citations:
            others = [other.quote for other in sentence.citations if other is not citation]
            needed = not others or carries(sentence.text, [citation.quote]) or not carries(sentence.text, others)
            right += needed
    return right / total if total else None


def sentence_coverage(sentences: Sequence[Sentence]) -> float | None:
    """Share of the sentences that cite anything, whether or not it carries them; None without sentences."""
    return sum(bool(sentence.citations) for sentence in sentences) / len(sentences) if sentences else None


def gold_cited(cited: Sequence[Span], groups: Sequence[Sequence[Span]]) -> float:
    """Share of the gold's characters that are cited, for the group of evidence where it is largest."""
    return max(covered(cited, group) / length(group) for group in groups)


def cited_gold(cited: Sequence[Span], gold: Sequence[Span]) -> float | None:
    """Share of the cited characters that are gold; None when nothing is cited."""
    size = length(cited)
    return covered(cited, gold) / size if size else None


def _carried(sentence: Sentence, carries: Carries) -> bool:
    return bool(sentence.citations) and carries(sentence.text, [citation.quote for citation in sentence.citations])
