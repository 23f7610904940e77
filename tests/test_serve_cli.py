"""The commands `rag serve` and `rag mcp` before and while they serve: keys, addresses, extras, the log."""

import importlib.util
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from conftest import SAMPLE

from index.errors import MissingExtraError
from rag.cli import main


def run(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "index"
    assert run("sync", SAMPLE / "island-guide.md", "--index", folder).exit_code == 0
    return folder


def test_keys_are_made_listed_and_forgotten(index: Path) -> None:
    made = run("serve", "--add-key", "librarian", "--may-write", "--index", index)
    assert made.stdout.startswith("rag-")
    assert len(made.stdout.strip()) > 40
    assert "Shown once" in made.stderr
    again = run("serve", "--add-key", "librarian", "--index", index)
    assert (again.exit_code, "--remove-key librarian" in again.stderr) == (1, True)
    run("serve", "--add-key", "reader", "--index", index)
    listed = run("serve", "--list-keys", "--index", index).stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["librarian", "reader"]
    assert "may write" in listed.splitlines()[0]
    assert made.stdout.strip() not in listed
    for name in ("librarian", "reader"):
        assert run("serve", "--remove-key", name, "--index", index).exit_code == 0
    gone = run("serve", "--remove-key", "reader", "--index", index)
    assert (gone.exit_code, "known: none" in gone.stderr) == (1, True)
    assert "is no name" in run("serve", "--add-key", "a b/c", "--index", index).stderr


def test_other_addresses_need_a_key_first(index: Path) -> None:
    done = run("serve", "--host", "0.0.0.0", "--index", index)
    assert done.exit_code == 1
    assert "needs an API key. Type: rag serve --add-key NAME" in done.stderr
    assert "is no address" in run("serve", "--host", "example.com", "--index", index).stderr


@pytest.mark.parametrize("command", ["serve", "mcp"])
def test_without_its_packages_or_an_index_a_sentence_says_what_to_type(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "rag sync FOLDER" in run(command, "--index", tmp_path / "none").stderr
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    feature = {"serve": "The server", "mcp": "The MCP server"}[command]
    assert run(command).stderr == f"Error: {MissingExtraError(feature, command)}\n"


def test_a_port_in_use_is_said_so(index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", taken.getsockname()[1], "--index", index)
    assert (done.exit_code, "Choose another: --port N" in done.stderr) == (1, True)


def test_help_loads_no_web_server() -> None:
    script = (
        "import sys\nfrom rag.cli import main\n"
        "for name in ('serve', 'mcp'):\n    main.main([name, '--help'], standalone_mode=False)\n"
        "heavy = {'fastapi', 'uvicorn', 'mcp', 'limits', 'prometheus_client', 'numpy', 'chromadb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--add-key" in done.stdout


def test_the_command_serves_logs_json_and_ends_when_asked(index: Path) -> None:
    command = [sys.executable, "-c", "from rag.cli import main; main()", "serve", "--port", "0", "--index", str(index)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        url = said.split()[0]
        assert f"base URL {url}/v1, model footnote" in said
        reply = httpx.post(f"{url}/ask", json={"question": "Where is the island?"}, timeout=60)
        assert (reply.status_code, reply.json()["model"]) == (200, "extract")
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    assert server.returncode in (0, 1, 130)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [("/ask", 200)]
    assert "island" not in errors.replace(str(index), "")
