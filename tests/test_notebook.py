"""What a notebook shows: rich displays without script, in a real kernel; interrupting it leaves the index sound."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, WordHash

import evals
from index.errors import RagError
from index.health import Check
from rag import Rag
from rag.display.cited import without_notice
from rag.display.figures import principal
from rag.display.notebook import progress_html, table_html
from rag.values import Answer, Passages

QUESTION = "In which year was the fog siren at Skarn Head silenced?"


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("notebook") / "index")
    kb.sync(SAMPLE)
    return kb


@pytest.fixture(scope="module")
def answer(kb: Rag) -> Answer:
    return kb.ask(QUESTION)


def test_an_answer_shows_hover_quotes_verdicts_and_sources(answer: Answer) -> None:
    shown = answer._repr_html_()
    assert 'title="“The siren was silenced in 1988' in shown
    assert 'aria-label="Supported: the cited words say this."' in shown
    assert "<mark>The siren was silenced in 1988" in shown
    assert shown.count("The sources disagree") == 1
    assert without_notice(answer) in answer.text


def test_a_display_loads_and_runs_nothing(kb: Rag, answer: Answer) -> None:
    shown = "".join(thing._repr_html_() for thing in (answer, kb, kb.search(QUESTION), kb.ask("Who is Zorblatt?")))
    assert not re.search(r"<script|<img|<iframe|\son\w+=|javascript:|https?://|@import|url\(", shown, re.IGNORECASE)


def test_documents_cannot_bring_markup_into_a_display(tmp_path: Path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    hostile = '<script>alert(1)</script><img src=x onerror=alert(1)> "quoted" costs 18 pounds. ![x](http://evil/leak)'
    kb.add(f"The ferry {hostile}\n", doc='<b onclick="x">.txt')
    shown = kb.search("ferry pounds", k=3)
    answer = kb.ask("What does the ferry cost?")
    for html in (shown._repr_html_(), answer._repr_html_(), kb._repr_html_()):
        assert not re.search(r"<script|<img|<b[ >]", html)
    assert "![" not in answer._repr_markdown_().replace(r"\!\[", "")
    assert "<script" not in answer._repr_markdown_().replace(r"\<", "")


def test_plain_forms_read_well(answer: Answer, kb: Rag) -> None:
    assert repr(answer).startswith(f"<Answer to {QUESTION!r}: ")
    assert "[1] fog-signal-memories.txt (1533-1657): “The siren was silenced in 1988" in str(answer)
    assert repr(kb) == f"<Rag at {kb.index.folder}: 13 documents>"
    assert str(kb.search(QUESTION, k=1)).startswith("1. ")
    assert "1. “The siren was silenced" in answer._repr_markdown_()


def test_tables_become_frames(answer: Answer, kb: Rag, tmp_path: Path, words: WordHash) -> None:
    sentences = answer.to_pandas()
    assert list(sentences["verdict"]) == ["supported"] * len(answer.sentences)
    assert next(iter(sentences["citations"])) == [1]
    passages = kb.search(QUESTION, k=4)
    assert list(passages.to_pandas()["start"]) == [passage.start for passage in passages]
    assert list(Passages().to_pandas().columns)[:3] == ["doc", "start", "end"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("A boat.")
    (tmp_path / "docs" / "b.txt").write_bytes(b"")
    report = Rag(tmp_path / "index", embedder=words).sync(tmp_path / "docs")
    assert report.to_pandas().values.tolist() == [["a.txt", "added", ""], ["b.txt", "failed", "the file is empty"]]
    assert "<li>b.txt: the file is empty</li>" in report._repr_html_()


def test_a_long_table_says_what_it_leaves_out() -> None:
    assert "and 5 more" in table_html(("a",), [(str(n),) for n in range(25)])


def test_a_bar_tells_rate_and_time_left() -> None:
    assert "embed 50 of 200, 10.0/s, 15 s left" in progress_html("embed", 50, 200, 5.0)


def test_the_principal_directions_are_those_of_most_variance() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 3)) * np.array([1.0, 5.0, 3.0])
    shares, directions = principal(rows - rows.mean(axis=0))
    assert abs(directions[1, 0]) > 0.99
    assert abs(directions[2, 1]) > 0.99
    assert shares[0] == pytest.approx(25 / 35, abs=0.05)


def test_a_map_draws_the_documents_and_the_question(kb: Rag) -> None:
    figure = kb.plot_map(QUESTION)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["found", "the question"]
    assert "How the Great Lens Works" in labels


# In a kernel


class Kernel:
    """A real IPython kernel; `run` gives the messages that a page would get."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder))

    def start(self, code: str) -> str:
        return str(self.client.execute(code))

    def messages(self, id_: str, timeout: float = 90) -> Iterator[tuple[str, Any]]:
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != id_:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return
            yield kind, content

    def run(self, code: str) -> list[tuple[str, Any]]:
        return [found for found in self.messages(self.start(code)) if found[0] not in ("status", "execute_input")]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def test_a_cell_streams_its_answer_and_prints_nothing_unasked(kernel: Kernel, kb: Rag) -> None:
    assert kernel.run(f"from rag import Rag; kb = Rag({str(kb.index.folder)!r}); passages = kb.search('keeper')") == []
    shown = kernel.run(f"answer = kb.show({QUESTION!r})")
    assert shown[0][0] == "display_data"
    assert shown[-1][0] == "update_display_data"
    assert "The sources disagree" in shown[-1][1]["data"]["text/html"]
    assert {kind for kind, _ in shown} == {"display_data", "update_display_data"}


def test_the_last_line_of_a_cell_shows_itself(kernel: Kernel) -> None:
    ((kind, content),) = kernel.run("answer")
    assert kind == "execute_result"
    assert {"text/html", "text/markdown", "text/plain"} <= content["data"].keys()


def test_a_sync_draws_a_bar_when_asked(kernel: Kernel) -> None:
    shown = kernel.run(f"report = Rag('bar.rag').sync({str(SAMPLE)!r}, progress=True)")
    assert {kind for kind, _ in shown} <= {"display_data", "update_display_data"}
    assert shown[-1][1]["data"]["text/html"] == ""
    assert kernel.run(f"report = Rag('bar.rag').sync({str(SAMPLE)!r})") == []


def test_an_interrupted_cell_leaves_the_index_sound(kernel: Kernel, tmp_path: Path, words: WordHash) -> None:
    docs = tmp_path / "many"
    docs.mkdir()
    for number in range(60):
        (docs / f"{number}.txt").write_text(f"Boat {number} carries {number * 7} crates of herring. " * 40)
    id_ = kernel.start(
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import conftest\n"
        "class Slow(conftest.WordHash):\n"
        "    def encode(self, texts):\n"
        "        print('encoding', flush=True); time.sleep(0.3)\n"
        "        return super().encode(texts)\n"
        f"kb = Rag({str(tmp_path / 'index')!r}, embedder=Slow())\n"
        f"kb.sync({str(docs)!r})\n"
    )
    kinds = []
    for kind, _ in kernel.messages(id_):
        if kind == "stream" and "stream" not in kinds:
            kernel.manager.interrupt_kernel()
        kinds.append(kind)
    assert kinds[-1] == "error"
    kernel.run("kb.close(); del kb")
    kb = Rag(tmp_path / "index", embedder=words)
    again = kb.sync(docs)
    assert len(again.added) + len(again.unchanged) == 60
    assert sound(kb.verify())
    assert kb.search("herring", k=1)


def sound(checks: list[Check]) -> bool:
    return all(check.ok for check in checks)


# Runs


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, kb: Rag) -> "evals.Record":
    return evals.run("sample", out=tmp_path_factory.mktemp("runs") / "base", kb=kb, limit=12)


def test_a_run_shows_its_scores_with_intervals(record: "evals.Record") -> None:
    shown = record._repr_html_()
    (mean,) = [score.estimate.mean for score in record.scores() if score.name == "contains_gold" and score.estimate]
    assert f"<td>{mean:.3f}</td>" in shown
    assert "12 questions" in shown
    assert "<Record of sample: 12 questions" in repr(record)
    assert "could be seen" in evals.compare(record, record)._repr_html_()


def test_a_run_draws_its_curves(record: "evals.Record") -> None:
    (curve,) = record.plot_risk_coverage().axes[0].get_lines()[:1]
    assert list(curve.get_xdata()) == [coverage for coverage, _, _ in record.risk_coverage()]
    assert len(record.plot_calibration().axes[0].collections[0].get_offsets()) == len(record.calibration())
    assert record.plot_scores(["contains_gold"]).axes[0].get_yticklabels()[0].get_text().startswith("contains_gold (n ")
    with pytest.raises(RagError, match="no score 'nonsense'"):
        record.plot_scores(["nonsense"])
