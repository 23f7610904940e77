"""Which files of a folder become documents: ignore files, hidden names, links, sidecars, folders that are closed."""

import os
from pathlib import Path

import pytest

from index.files import list_files, sidecar_of


def names(folder: Path, target: Path | None = None) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_files(target or folder, folder).files]


def make(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Some words.")


def test_hidden_names_package_folders_and_an_index_are_no_documents(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", ".git/x.txt", ".hidden.txt", "node_modules/b.txt", "venv/c.txt", "sub/d.txt", "rag.toml")
    make(tmp_path, "old/.rag/e.txt", "index/catalog.sqlite3", "index/f.txt")
    assert names(tmp_path) == ["a.txt", "sub/d.txt"]


def test_ragignore_is_read_as_gitignore_is(tmp_path: Path) -> None:
    make(
        tmp_path, "a.txt", "b.log.txt", "drafts/c.txt", "sub/d.txt", "sub/keep.log.txt", "sub/drafts.txt", "build/x.txt"
    )
    (tmp_path / ".ragignore").write_text("# no logs\n*.log.txt\ndrafts/\n/build\n")
    (tmp_path / "sub" / ".ragignore").write_text("!keep.log.txt\n")
    assert names(tmp_path) == ["a.txt", "sub/d.txt", "sub/drafts.txt", "sub/keep.log.txt"]


def test_an_ignore_file_above_counts_for_a_folder_synced_alone(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.txt", "sub/b.txt")
    (tmp_path / ".ragignore").write_text("sub/b.txt\n")
    assert names(tmp_path, tmp_path / "sub") == ["sub/a.txt"]


def test_an_ignore_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    (tmp_path / ".ragignore").write_bytes(b"\xff\xfe\x00")
    found = list_files(tmp_path, tmp_path)
    assert [path.name for path in found.files] == ["a.txt"]
    assert found.failed[0][0] == ".ragignore"


def test_a_sidecar_describes_and_is_no_document(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "a.txt.meta.toml")
    assert names(tmp_path) == ["a.txt"]
    assert sidecar_of(tmp_path / "a.txt") == tmp_path / "a.txt.meta.toml"
    assert sidecar_of(tmp_path / "b.txt") is None


def test_links_never_lead_out(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    make(inside, "a.txt", "sub/b.txt")
    make(tmp_path, "secret.txt")
    (inside / "out.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "loop").symlink_to(inside)
    (inside / "again.txt").symlink_to(inside / "a.txt")
    found = list_files(inside, inside)
    assert [path.name for path in found.files] == ["a.txt", "again.txt", "b.txt"]
    assert {name for name, _ in found.failed} == {"out.txt", "loop"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_is_said_to_be_closed(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "closed/b.txt")
    (tmp_path / "closed").chmod(0)
    found = list_files(tmp_path, tmp_path)
    (tmp_path / "closed").chmod(0o755)
    assert found.closed == [tmp_path / "closed"]
