"""Runs of evaluations found on disk, and their pages as `rag eval report` writes them. Scores nothing itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from index.errors import RagError

RUNS = "runs"
SECONDS = 120
"""For writing a report: one of a thousand questions takes a few."""

_MANIFEST, _ROWS = "manifest.json", "rows.jsonl"


def runs(folder: Path) -> list[str]:
    """Finished runs below `folder` as SUITE/TIME, the latest first."""
    found = [file.parent for depth in ("*", "*/*") for file in folder.glob(f"{depth}/{_MANIFEST}")]
    # An index lies beside its runs, and has a manifest, too.
    found = sorted(filter(lambda run: (run / _ROWS).is_file(), found), key=_finished, reverse=True)
    return [run.relative_to(folder).as_posix() for run in found]


def _finished(run: Path) -> float:
    return (run / _MANIFEST).stat().st_mtime


def report(folder: Path, run: str, base: str = "") -> str:
    """The page of a run, compared with `base` if given. Raises RagError for a run that is not listed."""
    known = runs(folder)
    for name in filter(None, (run, base)):
        if name not in known:
            raise RagError(f"There is no finished run {name!r:.200} in {folder}.")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "report.html"
        against = ["--base", str(folder / base)] if base else []
        _command("eval", "report", str(folder / run), *against, "--out", str(out))
        return out.read_text("utf-8")


def _command(*words: str) -> None:
    """A command of `rag` in a process of its own: the page knows no module of the evaluations, and they none of it."""
    python = [sys.executable, "-c", "from rag.cli import main; main()"]
    done = subprocess.run([*python, *words], capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        raise RagError(done.stderr.strip().removeprefix("Error: ")[-500:] or "The report could not be written.")
