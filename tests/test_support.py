"""A verdict for each sentence: facts in any format, negations, words, meaning, an entailment model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scripted_server import ScriptedServer

from index.errors import RagError
from rag import Rag, Settings
from rag.cli import main
from rag.support import NEAR, contradicts, missing_facts, support
from rag.values import Verdict
from rag.verifier import NliVerifier, open_verifier

CITED = "The tower was built in 1868 by Josiah Penhallow and is 34 metres high."


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        (CITED, "supported"),
        ("Josiah Penhallow built the tower in 1868.", "supported"),
        ("Josiah Penhallow built the tower in 1869.", "partial"),
        ("Josiah Penhallow did not build the tower in 1868.", "unsupported"),
        ("Puffins nest in burrows.", "unsupported"),
    ],
)
def test_a_sentence_gets_the_verdict_that_its_citation_earns(sentence: str, verdict: str) -> None:
    assert support(sentence, [CITED])[0] == verdict


def test_a_sentence_without_citation_is_uncited() -> None:
    assert support("Anything.", []) == ("uncited", 0.0)


def test_missing_values_are_named() -> None:
    assert missing_facts("In 1870 Penhallow met Fresnel twice.", CITED) == ["1870", "Fresnel"]


@pytest.mark.parametrize(
    ("sentence", "cited"),
    [
        ("It has 1,500 million users.", "It has 1.5 billion users."),
        ("He left on Jan. 3.", "He left on January 3, 2026."),
        ("He left on 3 January 2026.", "He left on 2026-01-03."),
        ("About 15,000 people came.", "Some 15,234 people came."),
        ("Ten percent of it is forest.", "Of it, 10% is forest."),
        ("The NFL has 32 teams.", "The National Football League has 32 teams."),
        ("German ships came in the 70s.", "Ships from Germany came in 1974."),
        ("The U.S. has 50 states.", "In the US there are 50 states."),
        ("It doesn't rain.", "It does not rain."),
        ("One of them is a school.", "A school is among them."),
        ("Not only ships but trains came.", "Ships and trains came."),
    ],
)
def test_the_same_thing_said_otherwise_is_supported(sentence: str, cited: str) -> None:
    assert support(sentence, [cited])[0] == "supported"


@pytest.mark.parametrize(
    ("sentence", "cited"),
    [
        ("It has 1,600 million users.", "It has 1.5 billion users."),
        ("He left on Jan. 4.", "He left on January 3, 2026."),
        ("He left on Tuesday.", "He left on January 3, 2026."),
        ("Some 15,234 people came.", "About 15,000 people came."),
        ("In all 1 ship came.", "In all two ships came."),
        ("70 percent came.", "70 people came."),
        ("Maduro met Trump.", "Maduro met Biden."),
        ("It was not built in 1868.", "It was built in 1868."),
        ("It was built in 1868.", "It was never built in 1868."),
        ("It was not red.", "It was painted red, but it did not last."),
        ("No ships came.", "Ships came."),
    ],
)
def test_a_changed_fact_or_a_denial_is_not_supported(sentence: str, cited: str) -> None:
    assert support(sentence, [cited])[0] != "supported"


def test_a_denial_in_another_clause_is_none() -> None:
    assert not contradicts("The tower was built in 1868.", "The tower was built in 1868, but the light was not lit.")
    assert contradicts("The light was lit in 1868.", "The tower was built in 1868, but the light was not lit.")


def test_facts_may_stand_in_any_of_the_cited_texts() -> None:
    texts = ["The tower was built in 1868.", "Its builder, Josiah Penhallow, was Cornish."]
    assert support("Josiah Penhallow built the tower in 1868.", texts)[0] == "supported"
    assert support("Josiah Penhallow built the tower in 1868.", texts[:1])[0] == "partial"


class Near:
    """Every text is as near to the first as told."""

    def __init__(self, cosine: float) -> None:
        self.cosine = cosine

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.tile([self.cosine, (1 - self.cosine**2) ** 0.5], (len(texts), 1))
        rows[0] = 1.0, 0.0
        return rows.astype(np.float32)


def test_a_sentence_in_other_words_is_saved_by_its_meaning() -> None:
    sentence, cited = "Puffins dig holes to breed.", ["Such birds raise chicks in burrows."]
    assert support(sentence, cited)[0] == "unsupported"
    assert support(sentence, cited, Near(NEAR + 0.01)) == ("supported", pytest.approx(NEAR + 0.01, abs=1e-3))
    assert support(sentence, cited, Near(NEAR - 0.05))[0] == "unsupported"
    assert support("Puffins dig 12 holes.", cited, Near(0.99))[0] != "supported"


# An entailment model


class Says:
    """A verifier that gives the verdict it is told."""

    def __init__(self, verdict: Verdict) -> None:
        self.told, self.seen = verdict, []

    def verdict(self, source: str, sentence: str) -> tuple[Verdict, float]:
        self.seen.append((source, sentence))
        return self.told, 0.9


def test_a_verifier_judges_words_and_the_rules_still_judge_facts() -> None:
    assert support("It rains a lot.", ["Wet is the word."], verifier=Says("supported"))[0] == "supported"
    assert support("The tower is tall.", [CITED], verifier=Says("unsupported"))[0] == "unsupported"
    assert support("The tower was built in 1869.", [CITED], verifier=Says("supported"))[0] == "partial"


@pytest.fixture(scope="module")
def nli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real BERT of two tiny layers with random weights and the labels of an entailment model."""
    return _saved(tmp_path_factory.mktemp("nli"), {0: "CONTRADICTION", 1: "ENTAILMENT", 2: "NEUTRAL"})


def _saved(folder: Path, labels: dict[int, str]) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tower", "ferry", "keeper", "the", "when", "was", "built"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, id2label=labels, label2id={label: place for place, label in labels.items()},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_the_chance_of_entailment_is_the_models_own(nli: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source, sentence = "the tower was built", "the keeper was built"
    encoded = AutoTokenizer.from_pretrained(nli)(source, sentence, return_tensors="pt")
    with torch.inference_mode():
        chances = torch.softmax(AutoModelForSequenceClassification.from_pretrained(nli)(**encoded).logits[0], 0)
    verdict, score = NliVerifier(str(nli)).verdict(source, sentence)
    assert score == pytest.approx(float(chances[1]), abs=1e-3)
    expected = "supported" if chances[1] >= 0.5 else "unsupported" if chances[0] >= 0.5 else "partial"
    assert verdict == expected


def test_a_model_with_one_output_means_entailed(tmp_path: Path) -> None:
    verdict, score = NliVerifier(str(_saved(tmp_path, {0: "LABEL_0"}))).verdict("the tower", "the ferry")
    assert 0 < score < 1
    assert verdict == ("supported" if score >= 0.5 else "unsupported")


def test_a_model_that_knows_no_entailment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RagError, match="entailment"):
        NliVerifier(str(_saved(tmp_path, {0: "good", 1: "bad"}))).verdict("the tower", "the ferry")


def test_what_is_no_verifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RagError, match="no verifier"):
        open_verifier(42)
    with pytest.raises(RagError, match="There is no verifier"):
        open_verifier(str(tmp_path / "none")).verdict("a", "b")


def test_the_command_line_checks_a_model_by_a_verifier(words, folder: Path, tmp_path: Path, nli: Path) -> None:
    index = str(tmp_path / "index")
    runner = CliRunner()
    assert runner.invoke(main, ["sync", str(folder), "--index", index]).exit_code == 0
    with ScriptedServer("The tower was built in 1868 by a keeper [b1.1].") as server:
        spec = ["--model", f"openai-like:test@{server.url}", "--index", index, "--verifier"]
        done = runner.invoke(main, ["ask", "When was the tower built?", *spec, str(nli)], catch_exceptions=False)
        assert done.exit_code == 0
        assert "[1] tower.md" in done.stdout
        done = runner.invoke(main, ["ask", "When was the tower built?", *spec, str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "There is no verifier" in done.output


def test_every_sentence_of_a_model_goes_to_the_verifier(words, folder: Path, tmp_path: Path) -> None:
    says = Says("partial")
    with Rag(tmp_path / "i", Settings(min_confidence=0), embedder=words, verifier=says) as kb:
        kb.sync(folder)
        with ScriptedServer("It is from 1868 [b1.1]. It is of stone.") as server:
            answer = kb.ask("When was the tower built?", model=f"openai-like:test@{server.url}")
    assert says.seen[0][1] == "It is from 1868."
    assert answer.sentences[0].verdict == "partial"
