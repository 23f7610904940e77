"""The names under which scores are kept and shown, in the order shown. The formulas stand in the files beside this.

A name may end in what it was measured at: `recall@1000` is `recall` in 1,000 tokens of passages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A score in [0, 1]. `gates`: being worse fails `compare --fail-if-worse`, unless the suite names others.

    `falling`: lower is better. `whole`: belongs to a run as a whole and is no mean over questions.
    """

    name: str
    title: str
    gates: bool = False
    falling: bool = False
    whole: bool = False


METRICS = (
    Metric("recall", "span recall", gates=True),
    Metric("recall_any_copy", "span recall, any copy"),
    Metric("precision", "span precision"),
    Metric("precision_any_copy", "span precision, any copy"),
    Metric("iou", "span IoU"),
    Metric("iou_any_copy", "span IoU, any copy"),
    Metric("omega", "span precision of all chunks on it"),
    Metric("hit", "an evidence span found"),
    Metric("mrr", "MRR of the evidence"),
    Metric("page_recall", "page recall", gates=True),
    Metric("doc_map", "documents: MAP"),
    Metric("doc_ndcg", "documents: nDCG"),
    Metric("correct", "right, or rightly withheld"),
    Metric("headline_correct", "short answer right"),
    Metric("contains_gold", "answer contains gold", gates=True),
    Metric("number_match", "number matches"),
    Metric("exact_match", "exact match"),
    Metric("token_f1", "token F1", gates=True),
    Metric("token_recall", "token recall"),
    Metric("rouge_l", "ROUGE-L"),
    Metric("content_f1", "content-word F1"),
    Metric("similarity", "semantic similarity"),
    Metric("claims_held", "claims found in answer"),
    Metric("answer_in_citation", "answer in citation", gates=True),
    Metric("quote_verified", "quotes verified", gates=True),
    Metric("citation_recall", "citation recall (lexical)"),
    Metric("citation_precision", "citation precision (lexical)"),
    Metric("sentence_coverage", "sentences with a citation"),
    Metric("gold_cited", "evidence cited"),
    Metric("cited_gold", "citations on evidence"),
    Metric("abstention_accuracy", "abstention accuracy", gates=True),
    Metric("abstention_precision", "abstention precision"),
    Metric("abstention_recall", "abstention recall"),
    Metric("coverage", "coverage at risk", whole=True),
    Metric("risk_area", "risk-coverage area", falling=True, whole=True),
    Metric("calibration_error", "calibration error", falling=True, whole=True),
    Metric("conflict_cited", "conflict: both sides cited", gates=True),
    Metric("conflict_false_alarm", "conflict: false alarm", falling=True),
    Metric("judged_correct", "judge: answer right"),
    Metric("judged_supported", "judge: sentences supported"),
    Metric("completed", "scored without fault", gates=True),
)

_BY_NAME = {metric.name: metric for metric in METRICS}


def metric_of(name: str) -> Metric:
    """The metric behind a score's name. KeyError when there is none."""
    return _BY_NAME[name.partition("@")[0]]


def title_of(name: str) -> str:
    """What a person reads for a score's name: `recall@1000` is "span recall @ 1000"."""
    _, at, level = name.partition("@")
    return f"{metric_of(name).title} @ {level}" if at else metric_of(name).title


def shown_order(name: str) -> tuple[int, int, str]:
    """Sort key: the order of METRICS, then the level, numbers before words."""
    _, _, level = name.partition("@")
    number = level.removesuffix("%")
    return METRICS.index(metric_of(name)), int(number) if number.isdigit() else 1 << 30, level
