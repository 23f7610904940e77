"""How far our answer scores agree with people: FinanceBench's labelled answers and RAGChecker's preferences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr, spearmanr

from evals.metrics.answers import rouge_l, token_f1, token_recall
from evals.metrics.correctness import WEIGHTS, features, fitted, refuses, right
from evals.metrics.quantities import is_quantity, number_match
from evals.metrics.words import content_f1

RESAMPLES = 2000
SEED = 20240711
Split = tuple[np.ndarray, np.ndarray]
_NAMES = [name for name in WEIGHTS if name != "bias"]


def check_financebench(folder: Path) -> bool:
    """Number match at kappa .90 on golds of one number; the whole verdict at .78, judged by weights that never saw the
    question; 16 systems ranked at .96.
    """
    rows = [json.loads(line) for line in (folder / "human_labelled_answers.jsonl").read_text("utf-8").splitlines()]
    answers, golds = [str(row["answer"]) for row in rows], [str(row["gold_in_results"]) for row in rows]
    people = np.array([row["label"] == "Correct Answer" for row in rows])
    refusals = np.array([row["label"] == "Refusal" for row in rows])
    ids = np.array([row["id"] for row in rows])
    refused = np.array([refuses(answer) for answer in answers])
    numeric = np.array([is_quantity(gold) for gold in golds])
    matched = np.array(
        [bool(number_match(a, g)) if n else False for a, g, n in zip(answers, golds, numeric, strict=True)]
    )
    verdict = np.array([right(a, [g], None, bool(r)) for a, g, r in zip(answers, golds, refused, strict=True)])
    systems = np.array([row["system"] for row in rows])
    readings = _Readings.of(answers, golds, refused, people, verdict)
    folds = np.mean([readings.judged(part) for part in _folds(ids)], axis=0)
    quarters = [readings.judged(part) for part in _quarters(ids, systems)]

    print(_line("number match, golds that are one number", matched[numeric], people[numeric], ids[numeric]))
    print(_line("refusal by its words", refused, refusals, ids))
    print(_line("whole verdict, by the weights that ship", verdict, people, ids))
    print(_line("whole verdict, ten folds of questions", folds >= 0.5, people, ids))
    found = [kappa(column >= 0.5, people) for column in quarters]
    print(f"{'whole verdict, half the questions and half':40} kappa {np.mean(found):.3f} over {len(found)} splits")
    print("  the systems judged by weights fitted on the other halves of both")
    names = sorted({row["system"] for row in rows})
    ours, theirs = ([float(column[systems == name].mean()) for name in names] for column in (verdict, people))
    rank = float(spearmanr(ours, theirs)[0])
    print(f"rank correlation over {len(names)} systems: {rank:.3f}")
    for name, one, two in zip(names, ours, theirs, strict=True):
        print(f"  {name:34} ours {one:.3f}  people {two:.3f}")
    refit = readings.weights()
    print(f"refitted weights: {refit}")
    same = all(abs(refit[name] - WEIGHTS[name]) < 0.02 for name in WEIGHTS)
    kept = kappa(matched[numeric], people[numeric]) >= 0.90 and kappa(folds >= 0.5, people) >= 0.78
    return kept and rank >= 0.96 and same


def check_ragchecker(folder: Path) -> bool:
    """Differences of a score between two answers against the preferences of both annotators: Pearson, Spearman x 100.

    Only the last row is chosen by looking at preferences (its one weight, on the even pairs), and the odd pairs tell
    what that is worth. Published: RAGAS with ada-002 48.3 / 57.2, RAGChecker with Llama-3-70B 61.9 / 60.9, two people
    70.1 / 68.9.
    """
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text("utf-8").splitlines()]
    people = np.array([[one["overall"] for one in pair["human"]] for pair in pairs])
    asked = [pair["question"] for pair in pairs]
    columns = {
        "token F1 (SQuAD)": _gaps(pairs, token_f1),
        "token recall": _gaps(pairs, token_recall),
        "ROUGE-L": _gaps(pairs, rouge_l),
        "content-word F1, question's words kept": _gaps(pairs, content_f1),
        "content-word F1": _gaps(pairs, content_f1, asked),
        "semantic similarity": _similarity_gaps(pairs),
    }
    odd = np.arange(len(pairs)) % 2 == 1
    words, similar = (columns[name] / columns[name].std() for name in ("content-word F1", "semantic similarity"))
    shares = np.arange(0, 1.01, 0.1)
    best = max(shares, key=lambda w: _correlations((1 - w) * words + w * similar, people, ~odd)[1])
    columns[f"content-word F1 + {best / (1 - best):.2f} similarity"] = (1 - best) * words + best * similar
    everywhere = np.ones(len(pairs), bool)
    print(f"{'':40} all {len(pairs)} pairs   odd half       even half")
    found = {}
    for name, column in columns.items():
        found[name] = _correlations(column, people, everywhere)
        halves = [_correlations(column, people, part) for part in (odd, ~odd)]
        print(f"{name:40} " + "  ".join(f"{one:5.2f} / {two:5.2f}" for one, two in (found[name], *halves)))
    squad = found["token F1 (SQuAD)"]
    parity = abs(squad[0] - 51.9) < 0.1 and abs(squad[1] - 53.9) < 0.1
    return parity and found["content-word F1"][1] > 57


def _correlations(column: np.ndarray, people: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """Against every single preference, as RAGChecker computes it: each pair counts once an annotator."""
    ours, theirs = np.concatenate([column[chosen]] * people.shape[1]), people[chosen].T.ravel()
    return 100 * float(pearsonr(ours, theirs)[0]), 100 * float(spearmanr(ours, theirs)[0])


def _folds(ids: np.ndarray) -> Iterator[list[Split]]:
    """Five times ten folds of questions: (rows to fit on, rows to judge)."""
    questions = sorted(set(ids))
    for seed in range(5):
        fold = dict(zip(questions, np.random.default_rng(seed).permutation(len(questions)) % 10, strict=True))
        of = np.array([fold[id] for id in ids])
        yield [(of != number, of == number) for number in range(10)]


def _quarters(ids: np.ndarray, systems: np.ndarray) -> Iterator[list[Split]]:
    """Ten times: half the questions of half the systems to fit on, the other half of both to judge, all four ways."""
    questions, names = sorted(set(ids)), sorted(set(systems))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        half = dict(zip(questions, rng.permutation(len(questions)) % 2, strict=True))
        side = dict(zip(names, rng.permutation(len(names)) % 2, strict=True))
        q, s = np.array([half[id] for id in ids]), np.array([side[name] for name in systems])
        yield [((q == a) & (s == b), (q != a) & (s != b)) for a in (0, 1) for b in (0, 1)]


def kappa(ours: np.ndarray, people: np.ndarray) -> float:
    """Cohen's kappa of two yes-or-no columns."""
    observed = float((ours == people).mean())
    chance = float(ours.mean() * people.mean() + (1 - ours.mean()) * (1 - people.mean()))
    return (observed - chance) / (1 - chance)


def _line(name: str, ours: np.ndarray, people: np.ndarray, ids: np.ndarray) -> str:
    """Kappa with an interval over questions, which all systems share."""
    questions, where = np.unique(ids, return_inverse=True)
    members = [np.flatnonzero(where == number) for number in range(len(questions))]
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[number] for number in rng.integers(len(members), size=len(members))])
        drawn.append(kappa(ours[rows], people[rows]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return (
        f"{name:40} kappa {kappa(ours, people):.3f} [{low:.3f}, {high:.3f}], same {(ours == people).mean():.3f}, "
        f"ours {float(ours.mean()):.3f}, people {float(people.mean()):.3f}, n {len(ours)}, {len(questions)} questions"
    )


@dataclass(frozen=True)
class _Readings:
    """What the model reads of each answer (rows, features), people's verdict on it, and which rows the model judges.

    `verdict` is that of the rules for the other rows.
    """

    table: np.ndarray
    people: np.ndarray
    judges: np.ndarray
    verdict: np.ndarray

    @classmethod
    def of(cls, answers, golds, refused, people, verdict) -> _Readings:
        rows = [features(answer, gold, bool(no)) for answer, gold, no in zip(answers, golds, refused, strict=True)]
        table = np.array([[row[name] for name in _NAMES] for row in rows])
        return cls(table, people, np.array([fitted(gold) for gold in golds]), verdict)

    def judged(self, splits: Sequence[Split]) -> np.ndarray:
        """Probability of right for every row, each by a model that was not fitted on it."""
        found = self.verdict.astype(float)
        for learn, judge in splits:
            model, rows = self._model(learn & self.judges), judge & self.judges
            found[rows] = model.predict_proba(self.table[rows])[:, 1]
        return found

    def weights(self) -> dict[str, float]:
        """Those of `evals.metrics.correctness`, fitted anew on everything."""
        model = self._model(self.judges)
        fitted_weights = zip(_NAMES, model.coef_[0], strict=True)
        return {
            "bias": round(float(model.intercept_[0]), 2),
            **{name: round(float(w), 2) for name, w in fitted_weights},
        }

    def _model(self, rows: np.ndarray):
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=1.0, max_iter=2000).fit(self.table[rows], self.people[rows])


def _gaps(pairs: Sequence[dict], score, asked: Sequence[str] | None = None) -> np.ndarray:
    """Score of answer b less that of answer a."""
    extra = [(question,) for question in asked] if asked else [()] * len(pairs)
    return np.array(
        [
            score(pair["b"], [pair["gold"]], *more) - score(pair["a"], [pair["gold"]], *more)
            for pair, more in zip(pairs, extra, strict=True)
        ]
    )


def _similarity_gaps(pairs: Sequence[dict]) -> np.ndarray:
    from index.minilm import shipped

    texts = list(dict.fromkeys(_unmarked(pair[key]) for pair in pairs for key in ("gold", "a", "b")))
    vectors = dict(zip(texts, shipped().encode(texts), strict=True))
    gold, a, b = (np.array([vectors[_unmarked(pair[key])] for pair in pairs]) for key in ("gold", "a", "b"))
    return (gold * b).sum(axis=1) - (gold * a).sum(axis=1)


def _unmarked(text: str) -> str:
    return re.sub(r"\[\d+\]", "", text)
