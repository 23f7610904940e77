"""Which files of a folder are documents: what is hidden, ignored or linked away is not. Knows names, not contents.

`.ragignore` files, in any folder, are written as .gitignore files are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from index.errors import DocumentError

IGNORE_FILE = ".ragignore"
SIDECAR = ".meta.toml"
"""`report.pdf.meta.toml` holds what is known of `report.pdf`."""

_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv", "site-packages"}
_SKIPPED_FILES = {"rag.toml"}


@dataclass(slots=True)
class Listing:
    """What was found: `failed` holds (name, reason), `closed` the folders that could not be opened."""

    files: list[Path] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)


def list_files(target: Path, root: Path) -> Listing:
    """Files in `target`, a file or a folder below `root`, in name order; symbolic links never lead out of it."""
    found = Listing()
    if target.is_file():
        found.files.append(target)
        return found
    above = [folder for folder in reversed(target.parents) if folder.is_relative_to(root)]
    rules = [rule for folder in above if (rule := _rules(folder, found, root))]
    for path in _walk(target, target, root, rules, found):
        found.files.append(path)
    return found


def _walk(folder: Path, target: Path, root: Path, rules: Sequence[_Rules], found: Listing) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.failed.append((folder.relative_to(root).as_posix(), f"cannot be opened: {error.strerror or error}"))
        found.closed.append(folder)
        return
    own = _rules(folder, found, root)
    rules = [*rules, own] if own else rules
    for entry in entries:
        path = Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(".") or _skipped(entry.name, is_folder) or _ignored(path, is_folder, rules):
            continue
        reason = _link_reason(path, target) if entry.is_symlink() else None
        if reason:
            found.failed.append((path.relative_to(root).as_posix(), reason))
        elif is_folder:
            if not (path / "catalog.sqlite3").exists():  # an index is not a document
                yield from _walk(path, target, root, rules, found)
        elif entry.is_file():
            yield path


def _skipped(name: str, is_folder: bool) -> bool:
    return name in _SKIPPED_FOLDERS if is_folder else name in _SKIPPED_FILES or name.endswith(SIDECAR)


def _link_reason(path: Path, target: Path) -> str | None:
    try:
        leads = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "symbolic link that leads nowhere or to itself"
    if leads.is_dir():
        return "symbolic link to a folder; such links are not followed"
    return None if leads.is_relative_to(target.resolve()) else "symbolic link that leads out of the folder"


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one .ragignore, which count from its own folder."""

    folder: Path
    spec: Any


def _rules(folder: Path, found: Listing, root: Path) -> _Rules | None:
    file = folder / IGNORE_FILE
    if not file.is_file():
        return None
    from pathspec import GitIgnoreSpec

    try:
        return _Rules(folder, GitIgnoreSpec.from_lines(file.read_text("utf-8").splitlines()))
    except (OSError, ValueError) as error:
        found.failed.append((file.relative_to(root).as_posix(), f"is not used: {error}"))
        return None


def _ignored(path: Path, is_folder: bool, rules: Sequence[_Rules]) -> bool:
    """The innermost file that says anything of the path decides, as git has it."""
    verdict = False
    for rule in rules:
        name = path.relative_to(rule.folder).as_posix() + ("/" if is_folder else "")
        said = rule.spec.check_file(name).include
        verdict = verdict if said is None else said
    return verdict


def sidecar_of(path: Path) -> Path | None:
    """The file that describes this one, if there is any."""
    beside = path.with_name(path.name + SIDECAR)
    return beside if beside.is_file() else None


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """A file's bytes. Raises DocumentError when it is too large, gone or not to be read."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DocumentError(f"{size / 1e6:.0f} MB; files over {max_bytes / 1e6:.0f} MB are left out (max_file_mb)")
        return path.read_bytes()
    except FileNotFoundError:
        raise DocumentError("vanished while it was being read") from None
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}") from error
