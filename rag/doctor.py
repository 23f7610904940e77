"""What `rag doctor` says beside the state of the index: versions, who answers, what could reach the network.

Looks and tells; repairs nothing and asks nobody outside this machine.
"""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, requires, version
from pathlib import Path
from urllib.parse import urlsplit

from index.catalog import SCHEMA
from index.errors import RagError
from index.health import Check
from index.store import Index
from index.web import is_url
from rag.failures import is_loopback, where
from rag.settings import Settings

_SHOWN = ("chromadb", "llama-index-core", "numpy", "torch", "sentence-transformers", "pypdfium2")
_OURS = ("index", "rag", "evals", "ui")
_HOSTED = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_BASES = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL"}


def surroundings(settings: Settings, roots: Sequence[str] = ()) -> list[Check]:
    """Everything but the index; `roots` are what was synced into it."""
    checks = [_versions(), *_packages(), _extras(), _model(settings), _embedder(settings)]
    return [*checks, _network(settings, roots)]


def state(index: Index) -> Check:
    """What is indexed. Raises RagError when it cannot be read."""
    listed = index.documents()
    chunks = sum(info.chunks for info in listed)
    failed = len(index.catalog.failures())
    found = f"{index.folder}: {len(listed)} documents, {chunks} chunks, schema {SCHEMA}"
    return Check(
        "index", True, found + (f"; {failed} files could not be read (rag status names them)" if failed else "")
    )


def _versions() -> Check:
    known = ", ".join(f"{name} {_version(name)}" for name in _SHOWN)
    found = (
        f"footnote-rag {_version('footnote-rag')}, Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, SQLite {sqlite3.sqlite_version}, {known}"
    )
    missing = [name for name in ("footnote-rag", *_SHOWN) if _version(name) == "missing"]
    return Check("versions", not missing, found, "pip install --force-reinstall footnote-rag")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _packages() -> Iterator[Check]:
    """Whether another distribution has put something of its own in the place of ours; pip is silent of that."""
    owners = packages_distributions()
    for package in _OURS:
        others = sorted(set(owners.get(package, ())) - {"footnote-rag"})
        if others:
            found = f"{', '.join(others)} also installs a package {package!r}, and one has overwritten the other"
            advice = f"pip uninstall {' '.join(others)}, then pip install --force-reinstall --no-deps footnote-rag"
            yield Check("packages", False, found, advice)


def _extras() -> Check:
    """Which extras are there. One that is not is no fault."""
    wanted: dict[str, list[str]] = {}
    for line in requires("footnote-rag") or ():
        name, _, condition = line.partition(";")
        if "extra ==" in condition:
            extra = condition.split("extra ==")[1].strip().strip("'\"")
            wanted.setdefault(extra, []).append(_plain(name))
    there = {_plain(dist.metadata["Name"]) for dist in distributions() if dist.metadata["Name"]}
    have = [extra for extra, names in wanted.items() if set(names) <= there]
    lack = [extra for extra in wanted if extra not in have]
    found = ", ".join(have) or "none"
    if lack:
        found += f"; not installed: {', '.join(lack)} (pip install 'footnote-rag[{','.join(lack)}]')"
    return Check("extras", True, found)


def _plain(requirement: str) -> str:
    name = requirement.strip()
    for mark in "[<>=!~ ":
        name = name.split(mark)[0]
    return name.lower().replace("_", "-")


def _model(settings: Settings) -> Check:
    kind, _, name = settings.model.partition(":")
    if kind == "extract":
        return Check("model", True, "extract: quotes the documents, needs no language model")
    try:
        from rag.models import open_model

        open_model(settings.model, settings)
    except (RagError, ImportError) as error:
        return Check("model", False, str(error), 'rag ask --model SPEC, or model = "extract" in rag.toml')
    base = _base(settings)
    if base is None:
        return Check("model", True, f"{kind}:{name}, in this process")
    if not is_loopback(base):
        return Check("model", True, f"{kind}:{name} at {where(base)}, on another machine: not asked")
    if _listens(base):
        return Check("model", True, f"{kind}:{name} at {where(base)}, where a server listens")
    return Check("model", False, f"nobody listens at {where(base)}", "start the model's server, or name another model")


def _base(settings: Settings) -> str | None:
    """The address of the model's server; None for what runs in this process."""
    kind, _, name = settings.model.partition(":")
    if kind in _HOSTED:
        return os.environ.get(_BASES[kind]) or _HOSTED[kind]
    if kind == "ollama":
        from rag.models import _ollama_base

        return _ollama_base()
    return name.partition("@")[2] if kind == "openai-like" and "@" in name else None


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=2).close()
    except (OSError, ValueError):
        return False
    return True


def _embedder(settings: Settings) -> Check:
    if settings.embedder == "minilm":
        return Check("embedder", True, "minilm: all-MiniLM-L6-v2, part of the installation")
    if Path(settings.embedder).exists():
        return Check("embedder", True, f"{settings.embedder}, a folder of this machine")
    return Check("embedder", True, f"{settings.embedder}, a name: looked up in the cache, else downloaded from a hub")


def _network(settings: Settings, roots: Sequence[str]) -> Check:
    """What could make this installation speak to another machine, as it is set up now."""
    ways = list(_ways(settings, roots))
    if not ways:
        return Check("network", True, "nothing reaches for it; rag doctor --offline proves that")
    return Check("network", True, "; ".join(ways))


def _ways(settings: Settings, roots: Sequence[str]) -> Iterator[str]:
    base = _base(settings)
    if base and not is_loopback(base):
        yield f'the model at {where(base)} gets each question and its passages (model = "extract" ends that)'
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    names = {"embedder": settings.embedder, "reranker": settings.rerank or "", "model": _local_model(settings)}
    for role, name in names.items():
        if name and name != "minilm" and not Path(name).exists() and not offline:
            yield f"the {role} {name} is downloaded if it is not cached (a folder, or HF_HUB_OFFLINE=1, ends that)"
    if settings.chroma_url and not is_loopback(settings.chroma_url):
        yield f"the Chroma server at {where(settings.chroma_url)} gets each chunk's text (no chroma_url ends that)"
    pages = [root for root in roots if is_url(root)]
    if pages:
        listed = ", ".join(map(where, pages[:3])) + (f" and {len(pages) - 3} more" if len(pages) > 3 else "")
        yield f"rag sync asks {listed} for pages (rag remove takes them out)"


def _local_model(settings: Settings) -> str:
    kind, _, name = settings.model.partition(":")
    return name if kind == "hf" else ""
