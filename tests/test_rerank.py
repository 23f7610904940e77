import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from index.errors import RagError
from rag.answer import Rag
from rag.rerank import open_reranker, score_in_time
from rag.retrieve import searched_text
from rag.settings import Settings


class Counts:
    """Scores a text by how often it says a word; sleeps as long as told for each text."""

    def __init__(self, word: str, seconds: float = 0.0) -> None:
        self.word, self.seconds, self.seen = word, seconds, 0

    def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
        self.seen += len(texts)
        time.sleep(self.seconds * len(texts))
        return np.array([text.lower().count(self.word) for text in texts], float)


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real BERT of two tiny layers with random weights, saved as a CrossEncoder is."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tower", "ferry", "keeper", "the", "when", "was", "built"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        num_labels=1, max_position_embeddings=64,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_a_cross_encoder_is_loaded_from_a_folder(cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    texts = ["the tower", "the ferry keeper", "was built"]
    found = open_reranker(cross_encoder).score("when was the tower built", texts)
    expected = CrossEncoder(str(cross_encoder)).predict([("when was the tower built", text) for text in texts])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(set(found.tolist())) == 3


def test_a_search_with_a_cross_encoder_follows_its_order(folder, words, tmp_path, cross_encoder: Path) -> None:
    settings = Settings(rerank=str(cross_encoder), rerank_ms=60_000)
    kb = Rag(tmp_path / "index", settings, embedder=words)
    kb.sync(folder)
    found = kb.search("When was the tower built?", k=4)
    with kb.index.reading() as snapshot:
        rows = {
            (snapshot.docs[snapshot.documents[row]], int(snapshot.starts[row])): row for row in range(len(snapshot))
        }
        texts = [searched_text(snapshot, rows[passage.doc, passage.start]) for passage in found]
    scores = kb.reranker.score("When was the tower built?", texts)
    assert len(found) >= 3
    assert len(set(np.round(scores, 6).tolist())) == len(found)
    assert np.argsort(-scores).tolist() == list(range(len(found)))


def test_the_reranker_decides_the_order_and_the_scores_stay_in_order(folder, words, tmp_path) -> None:
    kb = Rag(tmp_path / "index", embedder=words, reranker=Counts("ferry"))
    kb.sync(folder)
    by_rank = kb.search("When was the tower built?", k=3)
    assert by_rank[0].doc == "ferry.txt"
    assert [p.score for p in by_rank] == sorted((p.score for p in by_rank), reverse=True)
    assert kb.search("When was the tower built?", tokens=12)[0].doc == "ferry.txt"
    assert kb.retrieve("When was the tower built?", k=3).note == ""


def test_a_budget_of_time_leaves_the_rest_in_fused_order() -> None:
    reranker = Counts("x", seconds=0.01)
    scores, note = score_in_time(reranker, "q", ["x"] * 40, 200)
    assert note == f"Reranking stopped after {len(scores)} of 40 passages (budget 200 ms)."
    assert reranker.seen == len(scores)
    assert 8 <= len(scores) <= 24


def test_without_hurry_all_are_scored() -> None:
    scores, note = score_in_time(Counts("x"), "q", ["x", "xx", ""] * 7, 60_000)
    assert scores.tolist() == [1, 2, 0] * 7
    assert note == ""


def test_the_note_reaches_the_reader(words, tmp_path) -> None:
    kb = Rag(tmp_path / "index", Settings(rerank_ms=1), embedder=words, reranker=Counts("tower", seconds=0.001))
    for number in range(30):
        kb.add(f"Tower number {number} stands on a hill.", f"{number:02}.txt")
    found = kb.retrieve("tower", tokens=100)
    assert "after 8 of 30" in found.note
    assert found.timings["rerank"] > 0
    assert kb.ask("Where is the tower?").trace.notes == ("Reranking stopped after 8 of 30 passages (budget 1 ms).",)


@pytest.mark.parametrize("spec", [3, None, "", object()])
def test_what_is_no_reranker_is_refused(spec: object) -> None:
    with pytest.raises(RagError, match="no reranker"):
        open_reranker(spec)


@pytest.mark.parametrize("name", ["no/such-model", "../x", "a b"])
def test_a_model_that_is_not_here_names_the_command(name: str) -> None:
    with pytest.raises(RagError, match="hf download"):
        open_reranker(name).score("q", ["a"])


def test_a_damaged_model_is_one_line(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(RagError, match="cannot be loaded"):
        open_reranker(tmp_path).score("q", ["a"])


@pytest.mark.parametrize("given", [[[0.1, 0.9]], [np.nan], []])
def test_a_reranker_must_give_a_number_a_text(given: list[object]) -> None:
    class Bad:
        def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
            return np.array(given)

    with pytest.raises(RagError, match="expected one number each"):
        score_in_time(Bad(), "q", ["a"], 100)
