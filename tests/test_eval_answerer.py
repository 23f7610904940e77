"""What stands between a run and the system it asks: remembered embeddings, kept answers, stage timings."""

import dataclasses

import numpy as np

from evals.answerer import AnswerStore, Chunks, Recalling, asked
from evals.gold import Case
from evals.metrics.retrieval import omega
from index.embed import open_embedder
from rag import Rag, Settings
from rag.values import Answer


def answer(question="When?"):
    return Answer(question, "In 1868.", (), (), (), False, 0.9, model="m", timings={"search": 0.1, "total": 0.3})


def test_a_question_is_embedded_once_and_the_index_is_the_same(words):
    recalling = Recalling(words)
    first, again = recalling.encode(["When?"]), recalling.encode(["When?"])
    assert words.encoded == ["When?"]
    assert np.array_equal(first, again)
    assert open_embedder(recalling) is recalling
    assert (recalling.fingerprint, recalling.dim, recalling.window) == (words.fingerprint, 64, 254)


def test_what_was_remembered_cannot_be_spoilt(words):
    recalling = Recalling(words)
    recalling.encode(["When?"])[:] = 0
    assert np.array_equal(recalling.encode(["When?"]), words.encode(["When?"]))


def test_only_the_last_questions_are_remembered(words):
    recalling = Recalling(words, keep=1)
    for text in ("one", "two", "one"):
        recalling.encode([text])
    assert words.encoded == ["one", "two", "one"]


def test_a_kept_answer_is_not_asked_for_again(tmp_path):
    calls = []

    def ask():
        calls.append(1)
        return answer()

    case = Case("q", "When?")
    one, cached = AnswerStore(tmp_path, "settings").ask(case, ask)
    two, again = AnswerStore(tmp_path, "settings").ask(case, ask)
    assert (cached, again, len(calls)) == (False, True, 1)
    assert one == two


def test_other_settings_another_question_or_another_history_are_asked(tmp_path):
    calls = []

    def ask():
        calls.append(1)
        return answer()

    case = Case("q", "When?")
    AnswerStore(tmp_path, "one").ask(case, ask)
    AnswerStore(tmp_path, "two").ask(case, ask)
    AnswerStore(tmp_path, "one").ask(dataclasses.replace(case, question="Where?"), ask)
    AnswerStore(tmp_path, "one").ask(dataclasses.replace(case, history=(("Who?", "Rae"),)), ask)
    assert len(calls) == 4


def test_a_torn_file_is_asked_again(tmp_path):
    store = AnswerStore(tmp_path, "settings")
    store.ask(Case("q", "When?"), answer)
    next(tmp_path.glob("*.json")).write_text('{"question": "Wh')
    assert store.ask(Case("q", "When?"), answer)[1] is False


def test_stages_are_the_answers_own_and_ask_is_all_of_it():
    class Talker:
        def ask(self, question, *, history=()):
            return answer(question)

    _, seconds = asked(Talker(), Case("q", "When?"))
    assert set(seconds) == {"search", "ask"}
    assert seconds["search"] == 0.1


def test_the_chunks_on_a_span_are_those_that_touch_it(words, tmp_path):
    (tmp_path / "docs").mkdir()
    for doc in ("a.txt", "b.txt", "c.txt"):
        text = " ".join(f"Sentence {number} of {doc} says little." for number in range(60))
        (tmp_path / "docs" / doc).write_text(text, newline="")
    with Rag(tmp_path / "ix", Settings(chunk_tokens=40), embedder=words) as kb:
        kb.sync(tmp_path / "docs")
        chunks = Chunks(kb.index)
        with kb.index.reading() as snapshot:
            every = [
                (snapshot.docs[row], start, end)
                for row, start, end in zip(
                    snapshot.documents.tolist(), snapshot.starts.tolist(), snapshot.ends.tolist(), strict=True
                )
            ]
    assert len(every) > 12
    for doc in ("a.txt", "b.txt", "c.txt"):
        for start, end in ((0, 5), (200, 900), (every[1][1], every[1][2]), (700, 701)):
            touching = [chunk for chunk in every if chunk[0] == doc and chunk[1] <= end and start <= chunk[2]]
            assert sorted(chunks.on((doc, start, end))) == touching
            assert omega(chunks.on((doc, start, end)), [(doc, start, end)]) == omega(every, [(doc, start, end)])
    assert chunks.on(("nowhere.txt", 0, 9)) == []
