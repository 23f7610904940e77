"""`rag eval` as typed: real index, real embedder, three tiny documents."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rag.cli import main

TEXTS = {
    "tower.md": "# The tower\n\nThe tower of Skarn Head was lit in 1868. It is 44 metres high.\n",
    "ferry.txt": "The ferry leaves at nine in the morning. A ticket costs 12 pounds.\n",
    "page.html": "<html><body><p>The old siren fell silent in 1988 after long service to all boats.</p></body></html>",
}
ROWS = [
    {"id": "q1", "question": "When was the tower lit?", "answers": ["1868"],
     "evidence": [{"doc": "tower.md", "quote": "lit in 1868"}]},
    {"id": "q2", "question": "What does a ferry ticket cost?", "answers": ["12 pounds"],
     "evidence": [{"doc": "ferry.txt", "quote": "A ticket costs 12 pounds."}]},
    {"id": "q3", "question": "When did the siren fall silent?", "answers": ["1988"],
     "evidence": [{"doc": "page.html", "quote": "fell silent in 1988"}]},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAG_INDEX", raising=False)
    (tmp_path / "tiny" / "docs").mkdir(parents=True)
    for doc, text in TEXTS.items():
        (tmp_path / "tiny" / "docs" / doc).write_text(text, newline="")
    (tmp_path / "tiny" / "gold.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return tmp_path


def rag(*words):
    return CliRunner().invoke(main, ["eval", *words])


def test_run_prints_scores_with_intervals_and_compare_reads_them(folder):
    first = rag("run", "tiny", "--out", "a", "--json")
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    scores = {score["name"]: score["estimate"] for score in found["scores"]}
    assert scores["recall@1000"]["mean"] == 1.0
    assert scores["quote_verified"]["mean"] == 1.0
    assert scores["recall@1000"]["low"] == pytest.approx(0.025 ** (1 / 3))
    assert found["errors"] == {}
    assert (folder / "runs" / "tiny" / "index" / "manifest.json").is_file()

    second = rag("run", "tiny", "--out", "b", "--budget", "100", "--budget", "1000")
    assert second.exit_code == 0, second.output
    assert "span recall @ 100 " in second.stdout
    assert "3 questions of tiny; rows in b" in second.stdout

    compared = rag("compare", "a", "b", "--fail-if-worse")
    assert compared.exit_code == 0, compared.output
    assert "no difference shown" in compared.stdout

    refused = rag("run", "tiny", "--out", "a")
    assert refused.exit_code == 1
    assert "Error: a holds a finished run" in refused.stderr
    assert "Traceback" not in refused.output


def test_an_index_of_other_documents_is_refused_before_anything_is_added(folder):
    (folder / "other").mkdir()
    (folder / "other" / "gulls.txt").write_text("Gulls nest on the cliffs of the island in spring.")
    assert CliRunner().invoke(main, ["sync", "other", "--index", "mine"]).exit_code == 0
    refused = rag("run", "tiny", "--index", "mine")
    assert refused.exit_code == 1
    assert "The index mine holds 1 document that is not of the suite tiny (gulls.txt)" in refused.stderr
    assert "1 documents, " in CliRunner().invoke(main, ["status", "--index", "mine"]).stdout


def test_a_document_taken_out_of_the_suite_leaves_its_index(folder):
    (folder / "tiny" / "docs" / "more.txt").write_text("Gulls nest on the cliffs of the island in spring.")
    assert rag("run", "tiny", "--out", "a", "--limit", "1").exit_code == 0
    (folder / "tiny" / "docs" / "more.txt").unlink()
    assert rag("run", "tiny", "--out", "b", "--limit", "1").exit_code == 0


def test_check_finds_every_quote(folder):
    found = rag("check", "tiny")
    assert found.exit_code == 0, found.output
    assert "tiny: 3 questions (0 unanswerable), 3 documents, 3 of 3 quotes found." in found.stdout


def test_check_names_the_line_of_a_quote_that_is_nowhere(folder):
    with (folder / "tiny" / "gold.jsonl").open("a") as gold:
        gold.write("\n" + json.dumps({**ROWS[2], "id": "q4", "evidence": [{"doc": "page.html", "quote": "in 1989"}]}))
    found = rag("check", "tiny")
    assert found.exit_code == 1
    assert 'gold.jsonl:4: the quote "in 1989" is not in page.html' in found.stderr


def test_a_setting_that_does_not_exist_is_an_error(folder):
    found = rag("run", "tiny", "--set", "chunk_token=50")
    assert found.exit_code == 1
    assert "did you mean 'chunk_tokens'?" in found.stderr
    assert rag("run", "tiny", "--set", "tokens").exit_code == 2


def test_another_chunking_gets_an_index_of_its_own(folder):
    assert rag("run", "tiny", "--out", "a", "--limit", "1").exit_code == 0
    assert rag("run", "tiny", "--out", "b", "--limit", "1", "--set", "chunk_tokens=40").exit_code == 0
    assert len(list((folder / "runs" / "tiny").glob("index*"))) == 2


def test_no_suite_is_an_error_without_a_traceback(folder):
    found = rag("run", "nowhere")
    assert found.exit_code == 1
    assert found.stderr.startswith("Error: nowhere is no folder, and the bundled suites are:")


def test_help_imports_nothing_heavy():
    code = (
        "import sys, evals.cli, evals\n"
        "heavy = {'numpy', 'rich', 'scipy', 'torch', 'chromadb', 'pandas', 'llama_index', 'index.store'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr.strip() == ""
    )


def test_the_gate_exits_by_its_minimum_and_writes_its_files(folder):
    assert rag("run", "tiny", "--out", "a").exit_code == 0
    assert rag("run", "tiny", "--out", "b").exit_code == 0
    words = ("compare", "a", "b", "--fail-if-worse", "--junit", "ci/eval.xml", "--markdown", "summary.md")
    open_gate = rag(*words, "--min", "recall@1000=.9")
    assert open_gate.exit_code == 0, open_gate.output
    assert "checks passed" in open_gate.stdout
    assert 'failures="0"' in (folder / "ci" / "eval.xml").read_text()
    assert "| score | base | new |" in (folder / "summary.md").read_text()

    shut = rag(*words, "--min", "token_f1=.99")
    assert shut.exit_code == 1
    assert "The gate is shut: minimum token_f1." in shut.stderr
    assert 'failures="1"' in (folder / "ci" / "eval.xml").read_text()
    assert rag("compare", "a", "b", "--min", "nonsense=1").exit_code == 1


def test_rescore_gives_the_same_scores_and_asks_nothing(folder):
    first = json.loads(rag("run", "tiny", "--out", "a", "--json").stdout)
    again = rag("rescore", "a", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["scores"] == first["scores"]
    assert "similarity" in {score["name"] for score in first["scores"]}

    changed = [{**ROWS[0], "answers": ["1869"]}, *ROWS[1:]]
    (folder / "tiny" / "gold.jsonl").write_text("\n".join(map(json.dumps, changed)))
    corrected = json.loads(rag("rescore", "a", "--suite", "tiny", "--out", "c", "--json").stdout)
    held = {score["name"]: score["estimate"]["mean"] for score in corrected["scores"]}
    assert held["contains_gold"] == pytest.approx(2 / 3)


def test_a_matrix_is_one_run_a_combination_and_one_table(folder):
    words = ("run", "tiny", "--out", "m", "--vary", "chunk_tokens=40,112", "--vary", "max_sentences=1,3")
    found = rag(*words)
    assert found.exit_code == 0, found.output
    runs = sorted(path.name for path in (folder / "m").iterdir())
    assert runs == [f"chunk_tokens={size},max_sentences={most}" for size in (112, 40) for most in (1, 3)]
    assert "chunk_tokens=40 max_sentences=1" in found.stdout
    assert rag(*words).exit_code == 0  # finished cells are taken as they are
    (folder / "tiny" / "gold.jsonl").write_text(json.dumps({**ROWS[0], "answers": ["1869"]}))
    assert "holds a finished run of other" in rag(*words).stderr


def test_report_is_one_file_in_the_runs_folder(folder):
    assert rag("run", "tiny", "--out", "a").exit_code == 0
    found = rag("report", "a", "--base", "a")
    assert found.exit_code == 0, found.output
    page = (folder / "a" / "report.html").read_text()
    assert "When was the tower lit?" in page
    assert "<svg" in page
