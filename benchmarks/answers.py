"""Extractive answers and abstention on question-answer pairs with spans: the figures, and the fit of both models.

usage: python benchmarks/answers.py --data DIR [--set xquad-en] [--fit]
Three indexes of the same articles: `all`; `off topic`, every other article left out; `on topic`, every third paragraph
of every article left out (its letters become spaces, so that offsets stay). An answer is right when its first three
cited sentences hold the gold. --fit also fits the weights of rag.extract and rag.abstain on all articles, and prints
thresholds for stated risks with each half of the articles judged by a fit on the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sets import arguments, load, opened

from evals.gold import Case
from evals.metrics.answers import normalise
from evals.stats import estimate
from evals.suite import Suite
from rag import Rag, Settings, abstain, extract
from rag.question import read_question
from rag.retrieve import idf


@dataclass(frozen=True)
class Outcome:
    """One question asked of one index: could it be answered, was it, how sure was the system."""

    case: Case
    answerable: bool
    first: bool
    three: bool
    confidence: float


def holds(case: Case, quote: str) -> bool:
    """Whether a quote holds one of the gold answers."""
    text = f" {normalise(quote)} "
    return any(f" {normalise(answer)} " in text for answer in case.answers)


def variants(suite: Suite, work: Path) -> dict[str, tuple[Rag, dict[str, str]]]:
    """Index name -> (index, text of each document that it holds)."""
    texts = {doc: path.read_bytes().decode() for doc, path in suite.files.items()}
    asked = {row.doc for case in suite.cases for row in case.evidence}
    groups = (sorted(asked), sorted(texts.keys() - asked))
    kept = {doc for group in groups for doc in group[::2]}
    made = {
        "all": texts,
        "off topic": {doc: text for doc, text in texts.items() if doc in kept},
        "on topic": {doc: _thinned(text) for doc, text in texts.items()},
    }
    out = {}
    for name, found in made.items():
        docs = work / f"{suite.name}-{name.replace(' ', '-')}-docs"
        docs.mkdir(parents=True, exist_ok=True)
        for doc, text in found.items():
            if not (docs / doc).exists():
                (docs / doc).write_bytes(text.encode())
        settings = Settings(min_confidence=0.0)  # it must answer, so that every threshold can be tried
        out[name] = (opened(work, f"{suite.name}-{name.replace(' ', '-')}", docs, settings), found)
    return out


def _thinned(text: str) -> str:
    parts = re.split(r"(\n\s*\n)", text)
    for number in range(4, len(parts), 6):  # paragraphs 3, 6, 9, ...; separators stand between them
        parts[number] = re.sub(r"\S", " ", parts[number])
    return "".join(parts)


def ask(kb: Rag, texts: dict[str, str], case: Case) -> Outcome:
    answer = kb.ask(case.question)
    gold = case.evidence[0]
    there = gold.doc in texts and texts[gold.doc][gold.start : gold.end] == gold.quote
    docs = {row.doc for row in case.evidence}
    right = [citation.doc in docs and holds(case, citation.quote) for citation in answer.citations[:3]]
    return Outcome(case, there, right[:1] == [True], any(right), answer.confidence)


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney U)."""
    above = scores[positive][:, None] - scores[~positive][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def coverage(outcomes: list[Outcome], risk: float) -> float:
    """Largest share of the answerable questions answered at a threshold where at most `risk` of the given are wrong."""
    ranked = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    wrong = np.cumsum([not outcome.three for outcome in ranked]) / np.arange(1, len(ranked) + 1)
    fits = np.flatnonzero(wrong <= risk)
    given = ranked[: fits[-1] + 1] if len(fits) else []
    return sum(outcome.answerable for outcome in given) / max(1, sum(outcome.answerable for outcome in ranked))


def calibration_error(outcomes: list[Outcome], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Guo et al. 2017)."""
    sure = np.array([outcome.confidence for outcome in outcomes])
    right = np.array([outcome.three for outcome in outcomes])
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    parts = [(bin_of == b) for b in range(bins) if (bin_of == b).any()]
    return float(sum(part.mean() * abs(sure[part].mean() - right[part].mean()) for part in parts))


def report(name: str, outcomes: list[Outcome]) -> None:
    answerable = [outcome for outcome in outcomes if outcome.answerable]
    clusters = [outcome.case.cluster for outcome in answerable]
    for label, values in (
        ("gold in first cited sentence", [float(outcome.first) for outcome in answerable]),
        ("gold in first three", [float(outcome.three) for outcome in answerable]),
    ):
        found = estimate(values, clusters)
        print(f"{name:10} {label:32} {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] n {found.n}")
    sure = np.array([outcome.confidence for outcome in outcomes])
    can = np.array([outcome.answerable for outcome in outcomes])
    if not can.all():
        print(f"{name:10} {'AUROC answerable or not':32} {auroc(sure, can):.3f} n {len(outcomes)}")
    print(
        f"{name:10} {'coverage at 10 % / 5 % wrong':32} {coverage(outcomes, 0.1):.3f} / {coverage(outcomes, 0.05):.3f}"
    )
    given = [outcome for outcome in outcomes if outcome.confidence >= abstain.THRESHOLD]
    wrong = sum(not outcome.three for outcome in given) / max(1, len(given))
    print(f"{name:10} {'at the threshold: given, wrong':32} {len(given) / len(outcomes):.3f}, {wrong:.3f}")
    print(f"{name:10} {'expected calibration error':32} {calibration_error(outcomes):.3f}", flush=True)


# The fit


def features(kb: Rag, case: Case) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Parts of each sentence's score (n, 5), whether it holds the gold (n,), and the evidence for the answer."""
    question = read_question(case.question)
    found = kb.retrieve(case.question)
    with kb.index.reading() as snapshot:
        counts = snapshot.frequencies(question.terms)
        weights = idf(counts, len(snapshot))
    ranked = extract.rank_sentences(question, found.scores.vector, found.passages, kb.index.embedder, weights)
    parts = np.array([[getattr(candidate, name) for name in extract.WEIGHTS] for candidate in ranked])
    docs = {row.doc for row in case.evidence}
    gold = np.array([candidate.doc in docs and holds(case, candidate.text) for candidate in ranked], bool)
    return parts.reshape(len(ranked), -1), gold, abstain.evidence(question, ranked, found.passages, counts)


def fit_ranking(rows: list[tuple[np.ndarray, np.ndarray]], ridge: float = 0.003) -> np.ndarray:
    """Weights under which a sentence with the gold is the likeliest choice (multinomial logistic regression)."""
    from scipy.optimize import minimize

    rows = [(parts, gold) for parts, gold in rows if gold.any() and not gold.all()]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = ridge * len(rows) * float(w @ w), 2 * ridge * len(rows) * w
        for parts, gold in rows:
            z = parts @ w
            p = np.exp(z - z.max())
            p /= p.sum()
            right = p[gold].sum()
            total -= np.log(right)
            slope = slope - parts.T @ (np.where(gold, p / right, 0) - p)
        return total / len(rows), slope / len(rows)

    return np.asarray(minimize(loss, np.zeros(rows[0][0].shape[1]), jac=True, method="L-BFGS-B").x)


def fit_confidence(table: np.ndarray, right: np.ndarray, ridge: float = 1e-4) -> np.ndarray:
    """Bias and weights of the logistic regression of `right` on the evidence."""
    from scipy.optimize import minimize

    x = np.c_[np.ones(len(table)), table]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        p = 1 / (1 + np.exp(-x @ w))
        cost = -np.mean(np.log(np.where(right, p, 1 - p) + 1e-12)) + ridge * float(w[1:] @ w[1:])
        return cost, x.T @ (p - right) / len(right) + 2 * ridge * np.r_[0, w[1:]]

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True).x)


def fit(suite: Suite, indexes: dict[str, tuple[Rag, dict[str, str]]]) -> None:
    names = [name for name in abstain.WEIGHTS if name != "bias"]
    read = {name: [features(kb, case) for case in suite.cases] for name, (kb, _) in indexes.items()}
    print(
        "sentence weights",
        dict(zip(extract.WEIGHTS, fit_ranking([row[:2] for row in read["all"]]).round(2), strict=True)),
    )
    table = np.array([[row[2][name] for name in names] for rows in read.values() for row in rows])
    right = np.array([row[1][:3].any() for rows in read.values() for row in rows])
    weights = fit_confidence(table, right)
    print("confidence weights", dict(zip(["bias", *names], weights.round(2).tolist(), strict=True)))
    articles = sorted({case.cluster for case in suite.cases})
    half = np.array([articles.index(case.cluster) % 2 == 0 for case in suite.cases] * len(read))
    held_out = np.empty(len(right))
    for train in (half, ~half):
        w = fit_confidence(table[train], right[train])
        held_out[~train] = 1 / (1 + np.exp(-(w[0] + table[~train] @ w[1:])))
    for risk in (0.05, 0.0625, 0.1):
        order = np.argsort(-held_out)
        wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
        last = np.flatnonzero(wrong <= risk)[-1]
        print(f"held out, {risk:.4f} wrong among the given: threshold {held_out[order[last]]:.3f}")


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--set", default="xquad-en")
    parser.add_argument("--fit", action="store_true", help="also fit the weights")
    given = parser.parse_args()
    suite = load(given.data, given.set)
    if suite is None:
        return
    indexes = variants(suite, given.work)
    if given.fit:
        fit(suite, indexes)
    for name, (kb, texts) in indexes.items():
        report(name, [ask(kb, texts, case) for case in suite.cases])


if __name__ == "__main__":
    main()
