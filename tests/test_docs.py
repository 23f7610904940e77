"""What the README and docs say is run: the Python snippet, the commands, the help pages."""

import os
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from rag.cli import help_pages, main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_snippet_runs(tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    (tmp_path / "evals").symlink_to(ROOT / "evals")
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "whitewashed church" in done.stdout


def test_the_shell_snippets_name_real_commands_and_options() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("rag ")]
    assert len(lines) >= 5
    for line in lines:
        words = line.split("#")[0].split()
        command = main.get_command(None, words[1])  # type: ignore[arg-type]
        assert command is not None, line
        if words[1] == "eval":
            command = command.get_command(None, words[2])  # type: ignore[attr-defined]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_sync_ask_and_search_run_as_the_readme_says(tmp_path: Path) -> None:
    docs = str(ROOT / "evals" / "suites" / "sample" / "docs")
    runner = CliRunner()
    assert runner.invoke(main, ["sync", docs]).exit_code == 0
    assert (tmp_path / ".rag" / "manifest.json").exists()
    asked = runner.invoke(main, ["ask", "In which year was the fog siren at Skarn Head silenced?"])
    assert "The sources disagree: 1988 [1]; 1991 [2] (dated 2023-03-09)." in asked.stdout
    assert "[1] fog-signal-memories.txt (" in asked.stdout


def test_the_help_pages_are_those_of_the_program() -> None:
    expected = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert help_pages() == expected, "run: rag help-pages > docs/cli.md"


def test_the_tree_in_the_readme_names_files_that_exist() -> None:
    tree = next(block for block in blocks("text") if block.startswith("index/"))
    folder = ""
    for line in tree.splitlines():
        folder = line.split("/")[0] if not line.startswith(" ") else folder
        for name in re.findall(r"\b\w+\.py\b", line):
            assert (ROOT / folder / name).exists(), name


def test_make_names_its_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    assert "make demo" in done.stdout
    assert "make test" in done.stdout
