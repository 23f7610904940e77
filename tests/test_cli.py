import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import SAMPLE

from rag.cli import main


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), catch_exceptions=False)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("cli") / "index")
    assert run("sync", str(SAMPLE), "--index", folder).exit_code == 0
    return folder


def test_ask_prints_the_answer_then_its_footnotes(index: str) -> None:
    done = run("ask", "How many clear nights were there in 2023?", "--index", index)
    assert "There were 97 clear nights in 2023. [1]" in done.stdout
    assert "[1] holm-hill-report-2023.pdf, page 1 (" in done.stdout


def test_json_is_all_there_is_on_standard_output(index: str) -> None:
    answer = json.loads(run("ask", "Who was the last keeper?", "--json", "--index", index).stdout)
    assert {"text", "citations", "abstained", "confidence", "passages", "conflicts"} <= answer.keys()
    assert json.loads(run("search", "keeper", "--json", "--index", index).stdout)[0]["doc"]
    assert len(json.loads(run("status", "--json", "--index", index).stdout)) == 13
    assert json.loads(run("sync", str(SAMPLE), "--json", "--index", index).stdout)["embedded"] == 0


def test_a_second_sync_says_that_nothing_was_embedded(index: str) -> None:
    assert "nothing embedded" in run("sync", "--index", index).stdout


def test_the_trace_tells_what_became_of_each_passage(index: str) -> None:
    assert "packed" in run("ask", "Who was the last keeper?", "--trace", "--index", index).stdout


def test_a_filter_is_typed_as_field_and_value(index: str) -> None:
    found = json.loads(run("search", "keeper", "--where", "doc=*.pdf", "--json", "--index", index).stdout)
    assert {passage["doc"] for passage in found} == {"holm-hill-report-2023.pdf"}
    assert run("search", "keeper", "--where", "nonsense", "--index", index).exit_code == 2


def test_remove_and_doctor(tmp_path: Path) -> None:
    index = str(tmp_path / "index")
    run("sync", str(SAMPLE), "--index", index)
    assert "1 removed" in run("remove", "island-guide.md", "--index", index).stdout
    done = run("doctor", "--index", index)
    assert done.exit_code == 0
    assert done.stdout.count("ok   ") == 14  # five of the installation, the state, eight parts of the index
    assert "vectors written anew" in run("doctor", "--rebuild", "--index", index).stdout


def test_without_an_index_ask_says_how_to_make_one(tmp_path: Path) -> None:
    done = run("ask", "Anything?", "--index", str(tmp_path / "none"))
    assert done.exit_code == 1
    assert "rag sync" in done.stderr
    assert done.stdout == ""


def test_an_empty_folder_is_exit_code_1_and_bad_files_among_good_ones_are_0(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run("sync", str(empty), "--index", str(tmp_path / "i"))
    assert done.exit_code == 1
    assert "no readable document" in done.stderr
    (empty / "good.txt").write_text("Some good words.")
    (empty / "bad.pdf").write_text("nothing")
    done = run("sync", str(empty), "--index", str(tmp_path / "i"))
    assert done.exit_code == 0
    assert "bad.pdf: broken PDF" in done.stderr


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    done = run("sync", str(tmp_path / "nowhere"), "--index", str(tmp_path / "i"))
    assert (done.exit_code, "nowhere" in done.stderr) == (1, True)


def test_rebuild_takes_new_settings(tmp_path: Path) -> None:
    index = str(tmp_path / "i")
    run("sync", str(SAMPLE), "--index", index)
    (tmp_path / "rag.toml").write_text("chunk_tokens = 60\n")
    refused = run("sync", "--index", index)
    assert "rag sync --rebuild" in refused.stderr
    assert "13 added" in run("sync", "--rebuild", "--index", index).stdout


def test_a_mistyped_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text("tokns = 60\n")
    assert "did you mean 'tokens'?" in run("status").stderr


def test_help_is_light() -> None:
    script = (
        "import sys\nfrom rag.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch','chromadb','gradio','llama_index','transformers','sentence_transformers','numpy'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for command in ("sync", "ask", "search", "status", "remove", "doctor", "eval", "ui"):
        assert f"\n  {command} " in done.stdout


def test_a_question_needs_no_heavy_import(index: str) -> None:
    script = (
        f"import sys\nfrom rag import Rag\nRag({index!r}).ask('Who was the last keeper?')\n"
        "heavy = {'torch','chromadb','gradio','llama_index.core','transformers','sentence_transformers'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "HEAVY []\n"


def test_ask_reads_only_what_the_filter_allows(tmp_path: Path) -> None:
    index = ("--index", str(tmp_path / "index"))
    run("sync", str(SAMPLE), *index)
    asked = ("ask", "In which year was the fog siren silenced?", "--json", *index)
    answer = json.loads(run(*asked, "--where", "doc=fog-signal-memories.txt").stdout)
    assert {passage["doc"] for passage in answer["passages"]} == {"fog-signal-memories.txt"}
    refused = run(*asked, "--where", "colour=red")
    assert refused.exit_code == 1
    assert "no field 'colour'" in refused.stderr
