"""The `rag ui` command before it serves: what it refuses, and that looking at its help loads nothing heavy."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from index.errors import MissingExtraError, RagError
from rag.cli import main
from ui.cli import _address


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.8.8.8", "127.8.8.8"),
        ("::1", "::1"),
        ("[::1]", "::1"),
    ],
)
def test_this_machine_may_be_listened_on(host: str, address: str) -> None:
    assert _address(host, 7860, auth=False) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", "localhost.example.com", ""])
def test_other_addresses_are_refused_with_the_way_around(host: str) -> None:
    with pytest.raises(RagError, match=r"rag ui --add-user NAME, then(.|\n)*ssh -L 7861:127\.0\.0\.1:7861"):
        _address(host, 7861, auth=False)


def test_the_refusal_reaches_the_terminal_as_one_line() -> None:
    result = CliRunner().invoke(main, ["ui", "--host", "0.0.0.0"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: --host 0.0.0.0")


def test_without_gradio_it_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(main, ["ui"])
    assert result.output == f"Error: {MissingExtraError('The chat page', 'ui')}\n"


def test_a_port_in_use_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["ui", "--port", str(port)])
    assert result.exit_code == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in result.output


def test_its_help_loads_no_web_server(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom ui.cli import ui\nui.main(['--help'], standalone_mode=False)\n"
        "heavy = {'gradio', 'fastapi', 'uvicorn', 'numpy', 'chromadb', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--no-browser" in done.stdout
