"""What `rag doctor` says of the installation: versions, who answers, what could reach the network, and what to do."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import SAMPLE
from scripted_server import ScriptedServer

import rag.doctor
from index.health import Check
from rag import Settings
from rag.cli import main
from rag.doctor import surroundings


def told(settings: Settings | None = None, roots: tuple[str, ...] = ()) -> dict[str, Check]:
    return {check.name: check for check in surroundings(settings or Settings(), roots)}


def test_a_fresh_installation_has_nothing_to_complain_of() -> None:
    checks = told()
    assert all(check.ok for check in checks.values())
    assert checks["versions"].found.startswith("footnote-rag 0.")
    assert "chromadb 1." in checks["versions"].found
    assert "serve" in checks["extras"].found
    assert checks["model"].found.startswith("extract")
    assert checks["network"].found == "nothing reaches for it; rag doctor --offline proves that"


def test_what_could_reach_the_network_is_named_with_what_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "x" * 20)
    settings = Settings(
        model="openai:gpt-5", embedder="org/model", rerank="org/rank", chroma_url="http://u:p@far.example:8000"
    )
    found = told(settings, ("/home/docs", "https://example.org/manual/"))["network"].found
    for said in (
        "the model at https://api.openai.com/v1",
        "the embedder org/model",
        "the reranker org/rank",
        "the Chroma server at http://far.example:8000",
        "https://example.org/manual/",
        "HF_HUB_OFFLINE=1",
    ):
        assert said in found
    assert "/home/docs" not in found
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "org/model" not in told(settings)["network"].found


def test_a_missing_key_and_a_server_that_is_not_there_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    keyless = told(Settings(model="openai:gpt-5"))["model"]
    assert (keyless.ok, "export OPENAI_API_KEY=" in keyless.found) == (False, True)
    with ScriptedServer() as server:
        assert "where a server listens" in told(Settings(model=f"openai-like:tiny@{server.url}"))["model"].found
        url = server.url
    gone = told(Settings(model=f"openai-like:tiny@{url}"))["model"]
    assert (gone.ok, gone.advice) == (False, "start the model's server, or name another model")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "x" * 20)
    hosted = told(Settings(model="openai:gpt-5"))["model"]
    assert (hosted.ok, "on another machine: not asked" in hosted.found) == (True, True)


def test_a_distribution_that_overwrites_ours_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.doctor, "packages_distributions", lambda: {"evals": ["footnote-rag", "evals"]})
    check = told()["packages"]
    assert not check.ok
    assert check.advice.startswith("pip uninstall evals, then pip install")


def test_the_command_prints_it_all_and_the_state_of_the_index(tmp_path: Path) -> None:
    runner = CliRunner()
    missing = runner.invoke(main, ["doctor", "--index", str(tmp_path / "none")])
    assert missing.exit_code == 1
    assert "ok   versions: " in missing.stdout
    assert "rag sync FOLDER" in missing.stderr
    runner.invoke(main, ["sync", str(SAMPLE), "--index", str(tmp_path / "i")])
    done = runner.invoke(main, ["doctor", "--index", str(tmp_path / "i")])
    assert done.exit_code == 0
    assert "13 documents" in done.stdout
    assert [line.split(":")[0] for line in done.stdout.splitlines()][:6] == [
        "ok   versions", "ok   extras", "ok   model", "ok   embedder", "ok   network", "ok   index",
    ]  # fmt: skip
    (tmp_path / "rag.toml").write_text('model = "openai:gpt-5"\n')
    assert runner.invoke(main, ["doctor", "--index", str(tmp_path / "i")]).exit_code == 1


@pytest.mark.parametrize("hiding", ["index.py", "evals.py", "ui/__init__.py", "index/__init__.py"])
def test_a_file_beside_a_notebook_that_hides_a_package_of_ours_is_named(hiding: str, tmp_path: Path) -> None:
    (tmp_path / hiding).parent.mkdir(exist_ok=True)
    (tmp_path / hiding).write_text("mine = True\n")
    done = subprocess.run(
        [sys.executable, "-c", "import rag"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"ImportError: {tmp_path / hiding} hides the package '{Path(hiding).parts[0].removesuffix('.py')}'"
    )
    assert "Rename it" in last


def test_one_that_was_imported_before_is_named_too_and_a_folder_of_data_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "ui").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "index.py").write_text("")
    for script, code in (("import rag", 0), ("import sys; sys.path.insert(0, 'notes'); import index, rag", 1)):
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
