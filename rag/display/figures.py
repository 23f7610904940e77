"""A map of a corpus as a matplotlib figure. Draws; needs the `notebook` extra and is loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from index.errors import IndexMissingError, MissingExtraError

if TYPE_CHECKING:
    from rag.answer import Rag

_DRAWN = 20_000
"""Chunks drawn: more are one cloud to the eye, and a vector graphic of them is slow to open."""

_NAMED = 8
"""Documents with a colour and a name of their own; the rest is grey."""


def new_figure(width: float = 8.0, height: float = 5.0) -> tuple[Any, Any]:
    """An empty figure and its axes, outside pyplot's global state. Raises MissingExtraError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Drawing figures", "notebook") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def corpus_map(kb: Rag, question: str | None = None) -> Any:
    """Every chunk as a point, its vector projected on the two directions of largest variance (PCA).

    Points near each other are about the same things, as far as two of many dimensions can show; the axes say how much
    of the variance they carry. With a question, it is a star and the passages it finds are ringed.
    """
    figure, axes = new_figure()
    with kb.index.reading() as snapshot:
        if not len(snapshot):
            raise IndexMissingError("The index holds no text to draw. Add some: kb.sync('folder')")
        vectors, documents = np.asarray(snapshot.vectors, np.float32), np.asarray(snapshot.documents)
        starts, titles, docs = np.asarray(snapshot.starts), list(snapshot.titles), list(snapshot.docs)
    mean = vectors.mean(axis=0)
    variances, directions = principal(vectors - mean)
    places = (vectors - mean) @ directions
    step = -(-len(places) // _DRAWN)
    counts = np.bincount(documents, minlength=len(docs))
    largest = [int(d) for d in np.argsort(-counts, kind="stable")[:_NAMED]]
    rest = ~np.isin(documents, largest)
    axes.scatter(*places[rest][::step].T, s=8, color="0.7", label="other documents" if rest.any() else None)
    for document in largest:
        axes.scatter(*places[documents == document][::step].T, s=10, label=titles[document][:40])
    if question is not None:
        found = kb.search(question)
        places_of = {(docs[d], int(s)): place for d, s, place in zip(documents, starts, places, strict=True)}
        ringed = [places_of[p.doc, p.start] for p in found if (p.doc, p.start) in places_of]
        if ringed:
            axes.scatter(*np.array(ringed).T, s=80, facecolors="none", edgecolors="black", label="found")
        star = (kb.index.embedder.encode([question])[0] - mean) @ directions
        axes.scatter(*star[:, None], marker="*", s=160, color="black", label="the question")
        axes.set_title(question[:80])
    for name, axis, share in zip(("first", "second"), (axes.xaxis, axes.yaxis), variances, strict=True):
        axis.set_label_text(f"{name} direction, {share:.0%} of the variance")
    figure.legend(fontsize="small", loc="outside right upper")
    return figure


def principal(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the variance (2,) and directions (d, 2) of the two principal components of centred rows (n, d)."""
    values, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred.astype(np.float64))
    shares = values[::-1][:2] / max(float(values.sum()), 1e-12)
    return shares, directions[:, ::-1][:, :2]
