"""Every command and Python snippet of the docs is run, page by page, in a folder of its own beside the sample corpus.

A fence marked `sh` or `python` promises that it runs; what needs a network is marked `text`. Commands of servers are
checked for names and options only; Python that asks ours finds one. A model is played by the scripted server.
"""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from scripted_server import ScriptedServer
from served import served

from rag import Rag
from rag.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md")])
SERVERS = {"ui", "serve", "mcp", "chat"}
MODEL = "http://127.0.0.1:8000/v1"
OURS = "http://127.0.0.1:8600"


def fences(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with ScriptedServer("The repair cost 18 pounds [b1.1].") as server:
        yield server.url


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page)], ids=lambda page: page.stem)
def test_what_a_page_says_runs(page: Path, tmp_path: Path, model: str) -> None:
    (tmp_path / "evals").symlink_to(ROOT / "evals")
    if not any(re.search(r"rag sync [^-\n]|kb\.sync", code) for _, code in fences(page)):
        ran("rag sync evals/suites/sample/docs")
    for kind, written in fences(page):
        code = written.replace(MODEL, model)
        if kind == "python" and OURS in code:
            with served(Rag(".rag")) as server:
                ran_python(code.replace(OURS, server.url))
            continue
        if kind == "python":
            ran_python(code)
            continue
        for line in commands(code):
            ran(line)


def ran_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{code}\n{done.stderr}"


def commands(code: str) -> list[str]:
    lines = [line.partition(" #")[0].strip() for line in code.replace("\\\n", " ").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    assert found
    return found


def ran(line: str) -> None:
    """Run a command of `rag` in this process; exit 1 is an answer too (a gate that shuts), a traceback is none."""
    words = shlex.split(line)
    assert words[0] == "rag", f"{line}: mark what is no command of ours as text"
    if words[1] in SERVERS or "--watch" in words:
        known(words[1:], line)
        return
    with contextlib.suppress(KeyError):
        del os.environ["RAG_INDEX"]
    done = CliRunner().invoke(main, words[1:])
    assert done.exception is None or isinstance(done.exception, SystemExit), (
        f"{line}\n{done.output}\n{done.exception!r}"
    )
    assert done.exit_code in (0, 1), f"{line}\n{done.output}"
    assert done.exit_code == 0 or words[1:3] == ["eval", "compare"], f"{line}\n{done.output}"


def known(words: list[str], line: str) -> None:
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, line
    while isinstance(command, click.Group) and len(words) > 1:
        words = words[1:]
        command = command.get_command(click.Context(command), words[0])
        assert command is not None, line
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options, line
