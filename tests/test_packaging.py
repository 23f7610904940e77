"""The wheel and the sdist of a clean clone hold exactly what is in version control for them, and the wheel works."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("index", "rag", "evals", "ui")


def git(*words: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dist/ of a clone of what is committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("no clone can be made: this is no checkout")
    clone = tmp_path_factory.mktemp("packaging") / "clone"
    git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
    build = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    subprocess.run(build, cwd=clone, check=True, capture_output=True)
    return clone / "dist"


def tracked(*places: str) -> set[str]:
    """Files of the commit that was cloned."""
    return set(git("ls-tree", "-r", "--name-only", "-z", "HEAD", *places).split("\0")) - {""}


def test_the_wheel_holds_the_four_packages_whole_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == tracked(*PACKAGES)
    for needed in (
        *(f"{package}/py.typed" for package in PACKAGES),
        "ui/style.css", "ui/scripts/bar.js", "rag/display/notebook.css", "rag/serve/app.py",
        "evals/suites/sample/gold.jsonl", "evals/suites/sample/docs/holm-hill-report-2023.pdf",
    ):  # fmt: skip
        assert needed in names
    told = {name.split("/", 1)[1] for name in names - inside}
    assert {"METADATA", "RECORD", "WHEEL", "entry_points.txt"} <= told


def test_the_sdist_holds_what_is_in_version_control(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}
    assert names == {name for name in tracked() if not name.startswith(".ci/")} | {"PKG-INFO"}


def test_the_wheel_alone_answers_from_another_folder(built: Path, tmp_path: Path) -> None:
    """Its dependencies are those of the running interpreter: installing them anew takes minutes and a network."""
    (wheel,) = built.glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    (own,) = venv.glob("lib/python*/site-packages")
    # Named in a .pth file they come after the venv's own, and their own .pth files (an editable install) are not read.
    (own / "base.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    docs, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    docs.mkdir()
    elsewhere.mkdir()
    (docs / "tower.md").write_text("# The tower\n\nThe tower was built in 1868. It is 34 metres high.\n")

    def run(*words: object, cwd: Path = elsewhere) -> str:
        done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    homes = run(python, "-c", "import index, rag, evals, ui; print(*(m.__file__ for m in (index, rag, evals, ui)))")
    assert [Path(home).parents[1] for home in homes.split()] == [own] * 4
    rag = venv / "bin" / "rag"
    assert "1 added" in run(rag, "sync", docs)
    assert "The tower was built in 1868. [1]" in run(rag, "ask", "When was the tower built?")
    assert "[1] tower.md (13-41)" in run(
        rag, "ask", "When was the tower built?", "--index", elsewhere / ".rag", cwd=docs
    )
    for command in ("eval", "ui", "serve", "mcp"):
        assert run(rag, command, "--help").startswith(f"Usage: rag {command}")
    assert run(rag, "--version").strip() == f"rag, version {version()}"


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def test_the_table_of_extras_names_each_with_its_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    table = {row[1].strip().strip("`"): row[3].strip() for row in rows}
    assert table.keys() == project["optional-dependencies"].keys()
    for extra, packages in project["optional-dependencies"].items():
        assert table[extra] == ", ".join(name.split(">")[0].split("=")[0] for name in packages), extra


def test_the_versions_of_python_that_are_declared_are_those_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [line for line in project["classifiers"] if line.startswith("Programming Language :: Python :: 3.")]
    assert declared == ["Programming Language :: Python :: 3.11"]
    assert project["requires-python"] == ">=3.11,<3.12"
    assert sys.version_info[:2] == (3, 11)
