"""The rules of the house hold themselves: import direction, no effect of importing, one distribution for our names."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_importing_everything_writes_nothing(tmp_path: Path) -> None:
    script = (
        "import logging, os\nbefore = dict(os.environ)\n"
        "import rag, rag.answer, rag.cli, rag.models, index.store, evals, evals.cli, ui.cli, ui.chat\n"
        "import rag.serve.cli, rag.serve.keys, rag.doctor\n"
        "assert dict(os.environ) == before\nassert not logging.getLogger().handlers\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == [] or {p.name for p in tmp_path.iterdir()} <= {"home"}


def test_no_other_distribution_brings_our_packages() -> None:
    owners = importlib.metadata.packages_distributions()
    for package in ("index", "rag", "evals", "ui"):
        # An editable install lists no packages; then nothing else may list them either.
        assert set(owners.get(package, ())) <= {"footnote-rag"}
