"""Extractive answers, headlines and abstention on question-answer pairs with spans: the figures, and the fits.

usage: python benchmarks/answers.py --data DIR [--set xquad-en] [--fit] [--picture FILE]
Three indexes of the same articles: `all`; `off topic`, every other article left out; `on topic`, every third paragraph
of every article left out (its letters become spaces, so that offsets stay). An answer is right when its first three
cited sentences hold the gold. `held out`: sentences, headlines and confidence of each half of the articles judged by
weights fitted on the other half; `in use`: the answers of `Rag.ask` with the weights in the code, fitted on all.
--fit also prints the weights fitted on all articles and thresholds for stated risks, --picture draws the risk-coverage
curve and the reliability of the held-out confidences (needs matplotlib, which the extra `notebook` brings).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sets import arguments, load, opened

from evals.gold import Case
from evals.metrics.answers import exact_match, normalise, token_f1
from evals.stats import estimate
from evals.suite import Suite
from index import minilm
from rag import Rag, Settings, abstain, extract, headline, spans
from rag.clues import Asked, read_asked
from rag.extract import Candidate
from rag.question import Question, read_question
from rag.scoring import idf
from rag.values import Passage


@dataclass(frozen=True)
class Outcome:
    """One question asked of one index: could it be answered, was it, how sure was the system."""

    case: Case
    answerable: bool
    first: bool
    three: bool
    confidence: float
    headline: str = ""


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
    return Outcome(case, there, right[:1] == [True], any(right), answer.confidence, answer.headline)


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
    short = [outcome.headline for outcome in answerable]
    em = [exact_match(said, o.case.answers) if said else 0.0 for said, o in zip(short, answerable, strict=True)]
    f1 = [token_f1(said, o.case.answers) if said else 0.0 for said, o in zip(short, answerable, strict=True)]
    given = [n for n, said in enumerate(short) if said]
    for label, values, kept in (
        ("gold in first cited sentence", [float(outcome.first) for outcome in answerable], None),
        ("gold in first three", [float(outcome.three) for outcome in answerable], None),
        ("headline given", [float(bool(said)) for said in short], None if given else []),
        ("headline exact match, all", em, None if given else []),
        ("headline token F1, all", f1, None if given else []),
        ("headline exact match, where given", em, given),
        ("headline token F1, where given", f1, given),
    ):
        rows = range(len(values)) if kept is None else kept
        if rows:
            found = estimate([values[n] for n in rows], [clusters[n] for n in rows])
            print(f"{name:20} {label:34} {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] n {found.n}")
    sure = np.array([outcome.confidence for outcome in outcomes])
    can = np.array([outcome.answerable for outcome in outcomes])
    if not can.all():
        print(f"{name:20} {'AUROC answerable or not':34} {auroc(sure, can):.3f} n {len(outcomes)}")
    print(
        f"{name:20} {'coverage at 10 % / 5 % wrong':34} {coverage(outcomes, 0.1):.3f} / {coverage(outcomes, 0.05):.3f}"
    )
    told = [outcome for outcome in outcomes if outcome.confidence >= abstain.THRESHOLD]
    wrong = sum(not outcome.three for outcome in told) / max(1, len(told))
    print(f"{name:20} {'at the threshold: given, wrong':34} {len(told) / len(outcomes):.3f}, {wrong:.3f}")
    print(f"{name:20} {'expected calibration error':34} {calibration_error(outcomes):.3f}", flush=True)


# The fits


@dataclass(frozen=True)
class Read:
    """One question asked of one index, before anything is weighed; `gold` says which sentences hold the answer."""

    case: Case
    answerable: bool
    question: Question
    asked: Asked
    ranked: list[Candidate]
    gold: dict[extract.Span, bool]
    passages: tuple[Passage, ...]
    frequencies: Mapping[str, int]


def read(kb: Rag, texts: dict[str, str], case: Case, *, lifting: bool) -> Read:
    """States of word pieces are kept for the four best sentences, where headlines are to be lifted."""
    question = read_question(case.question)
    found = kb.retrieve(case.question)
    with kb.index.reading() as snapshot:
        counts = snapshot.frequencies(question.terms)
        asked = read_asked(question, found.scores.vector, idf(counts, len(snapshot)), kb.index.embedder)
        rows = {doc: snapshot.docs.index(doc) for doc in texts}
        ranked = extract.rank_sentences(
            question, asked, found.passages, kb.index.embedder, lambda doc: snapshot.document_text(rows[doc])
        )
    kept = 4 if lifting else 0
    ranked = ranked[:kept] + [replace(candidate, states=None, vector=None) for candidate in ranked[kept:]]
    docs = {row.doc for row in case.evidence}
    gold = {candidate.span: candidate.doc in docs and holds(case, candidate.text) for candidate in ranked}
    first = case.evidence[0]
    there = first.doc in texts and texts[first.doc][first.start : first.end] == first.quote
    return Read(case, there, question, asked, ranked, gold, found.passages, counts)


@dataclass(frozen=True)
class Weights:
    """What was fitted: of sentences, of stretches, of the confidence."""

    sentences: Mapping[str, float]
    stretches: Mapping[str, float]
    confidence: Mapping[str, float]


def ranked_by(row: Read, weights: Mapping[str, float]) -> list[Candidate]:
    scored = [replace(c, score=sum(w * c.clues[name] for name, w in weights.items())) for c in row.ranked]
    return sorted(scored, key=lambda candidate: -candidate.score)


def right(row: Read, ranked: Sequence[Candidate]) -> list[bool]:
    """Of each sentence that would be cited whether it holds the gold."""
    return [row.gold[candidate.span] for candidate in extract.choose_sentences(row.question, ranked, 3)]


def judged(row: Read, weights: Weights) -> Outcome:
    """The outcome under given weights."""
    ranked = ranked_by(row, weights.sentences)
    held = right(row, ranked)
    found = abstain.evidence(row.question, ranked, row.passages, row.frequencies)
    z = weights.confidence["bias"] + sum(weights.confidence[name] * value for name, value in found.items())
    sure = float(1 / (1 + np.exp(-z)))
    short = ""
    if sure >= headline.CONFIDENT:
        short = headline.headline(row.question, ranked[0], row.asked, weights.stretches)
    return Outcome(row.case, row.answerable, held[:1] == [True], any(held), sure, short)


def fitted(reads: Mapping[str, Sequence[Read]]) -> Weights:
    """Sentences and stretches from the index that holds all, the confidence from all three."""
    names = list(extract.WEIGHTS)
    tables = [np.array([[c.clues[name] for name in names] for c in row.ranked]) for row in reads["all"]]
    gold = [np.array([row.gold[c.span] for c in row.ranked]) for row in reads["all"]]
    sentences = dict(zip(names, fit_choice(list(zip(tables, gold, strict=True)), 0.02).tolist(), strict=True))
    pairs = [pair for row in reads["all"] if (pair := _stretches(row)) is not None]
    stretches = dict(zip(spans.NAMES, fit_choice(pairs, 0.02).tolist(), strict=True))
    evidence, held = [], []
    for row in (row for rows in reads.values() for row in rows):
        ranked = ranked_by(row, sentences)
        evidence.append(abstain.evidence(row.question, ranked, row.passages, row.frequencies))
        held.append(any(right(row, ranked)))
    parts = list(evidence[0])
    table = np.array([[found[name] for name in parts] for found in evidence])
    confidence = dict(zip(["bias", *parts], fit_confidence(table, np.array(held), 0.01).tolist(), strict=True))
    return Weights(sentences, stretches, confidence)


def _stretches(row: Read) -> tuple[np.ndarray, np.ndarray] | None:
    """What speaks for each stretch of the best sentence that holds the gold, and which of them it is."""
    best = next((c for c in row.ranked[:4] if row.gold[c.span] and c.states is not None), None)
    if best is None or best.states is None:
        return None
    parsed = spans.Parsed(row.question, best.text, row.asked.idf)
    found = parsed.stretches()
    if not found:
        return None
    said = [headline.completed(best.text, at, row.question) for at in found]
    gold = np.array([exact_match(text, row.case.answers) == 1.0 for text in said])
    return spans.clues(parsed, found, row.asked, best.states, best.pieces), gold


def fit_choice(rows: Sequence[tuple[np.ndarray, np.ndarray]], ridge: float) -> np.ndarray:
    """Weights under which what holds the gold is the likeliest choice: multinomial logistic regression.

    Each column is scaled to unit deviation first, so that the ridge weighs on all alike.
    """
    from scipy.optimize import minimize

    scale = np.concatenate([parts for parts, _ in rows]).std(axis=0) + 1e-9
    scaled = [(parts / scale, gold) for parts, gold in rows if gold.any() and not gold.all()]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = ridge * len(scaled) * float(w @ w), 2 * ridge * len(scaled) * w
        for parts, gold in scaled:
            z = parts @ w
            p = np.exp(z - z.max())
            p /= p.sum()
            right = p[gold].sum()
            total -= np.log(right)
            slope = slope - parts.T @ (np.where(gold, p / right, 0) - p)
        return total / len(scaled), slope / len(scaled)

    return np.asarray(minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x) / scale


def fit_confidence(table: np.ndarray, held: np.ndarray, ridge: float) -> np.ndarray:
    """Bias and weights of the logistic regression of `held` on the evidence, columns scaled to unit deviation."""
    from scipy.optimize import minimize

    scale = table.std(axis=0) + 1e-9
    x = np.c_[np.ones(len(table)), table / scale]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        p = 1 / (1 + np.exp(-x @ w))
        cost = -np.mean(np.log(np.where(held, p, 1 - p) + 1e-12)) + ridge * float(w[1:] @ w[1:])
        return cost, x.T @ (p - held) / len(held) + 2 * ridge * np.r_[0, w[1:]]

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True).x) / np.r_[1.0, scale]


def held_out(reads: Mapping[str, Sequence[Read]]) -> dict[str, list[Outcome]]:
    """The outcomes of each half of the articles under weights fitted on the other half.

    Articles go to the halves in pairs: `off topic` leaves out every other one, and each half needs both kinds.
    """
    articles = sorted({row.case.cluster for row in reads["all"]})
    half = {article: number // 2 % 2 for number, article in enumerate(articles)}
    weights = {
        side: fitted({name: [row for row in rows if half[row.case.cluster] != side] for name, rows in reads.items()})
        for side in (0, 1)
    }
    return {name: [judged(row, weights[half[row.case.cluster]]) for row in rows] for name, rows in reads.items()}


def thresholds(outcomes: Sequence[Outcome]) -> None:
    """The confidence from which on a stated share of the answers given is wrong."""
    ranked = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    wrong = np.cumsum([not outcome.three for outcome in ranked]) / np.arange(1, len(ranked) + 1)
    for risk in (0.05, 0.0625, 0.1):
        last = np.flatnonzero(wrong <= risk)[-1]
        print(f"held out, {risk:.4f} wrong among the given: threshold {ranked[last].confidence:.3f}")


def draw(outcomes: Mapping[str, Sequence[Outcome]], file: Path) -> None:
    """Risk against coverage of each index, and how often answers of a confidence were right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right_) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for name, rows in outcomes.items():
        ranked = sorted(rows, key=lambda outcome: -outcome.confidence)
        count = np.arange(1, len(ranked) + 1)
        left.plot(count / len(ranked), np.cumsum([not row.three for row in ranked]) / count, label=name)
    left.set(xlabel="share of the questions answered", ylabel="share of those that are wrong", ylim=(0, 0.5))
    left.legend(frameon=False)
    every = [row for rows in outcomes.values() for row in rows]
    sure, held = np.array([row.confidence for row in every]), np.array([row.three for row in every])
    part = np.minimum((sure * 10).astype(int), 9)
    bins = [part == number for number in range(10) if (part == number).any()]
    right_.plot([0, 1], [0, 1], color="0.8")
    right_.scatter(
        [sure[own].mean() for own in bins], [held[own].mean() for own in bins], [own.sum() / 6 for own in bins]
    )
    right_.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100, metadata={"Software": None})
    print(f"# drawn: {file}")


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--set", default="xquad-en")
    parser.add_argument("--fit", action="store_true", help="also print the weights fitted on all articles")
    parser.add_argument("--picture", type=Path, help="file for the risk-coverage curve and the reliability")
    given = parser.parse_args()
    suite = load(given.data, given.set)
    if suite is None:
        return
    minilm.READINGS_KEPT = 4000  # the three indexes share their paragraphs
    indexes = variants(suite, given.work)
    reads = {
        name: [read(kb, texts, case, lifting=name == "all") for case in suite.cases]
        for name, (kb, texts) in indexes.items()
    }
    outcomes = held_out(reads)
    for name, found in outcomes.items():
        report(f"{name}, held out", found)
    thresholds([outcome for found in outcomes.values() for outcome in found])
    if given.picture:
        draw(outcomes, given.picture)
    if given.fit:
        for part in ("sentences", "stretches", "confidence"):
            weights: Mapping[str, float] = getattr(fitted(reads), part)
            print(f"{part}:", {name: round(weight, 2) for name, weight in weights.items()})
    del reads
    for name, (kb, texts) in indexes.items():
        report(f"{name}, in use", [ask(kb, texts, case) for case in suite.cases])


if __name__ == "__main__":
    main()
