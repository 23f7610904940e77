"""Ask your own documents: `Rag` answers with citations to the exact characters. The rest of the library is behind it.

Names are loaded when first used, so that `import rag` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from index.errors import RagError as RagError
    from rag.answer import Rag as Rag
    from rag.chat import Chat as Chat
    from rag.settings import Settings as Settings
    from rag.values import Answer as Answer
    from rag.values import Citation as Citation
    from rag.values import Passage as Passage


def _check_siblings() -> None:
    """A file of somebody's own, beside a notebook, that has the name of one of our packages hides it."""
    home = Path(__file__).resolve().parents[1]
    for name in ("index", "evals", "ui"):
        found = sys.modules.get(name) or find_spec(name)
        file = getattr(found, "__file__", None) or getattr(found, "origin", None)
        if file and Path(file).resolve() != home / name / "__init__.py":
            raise ImportError(
                f"{file} hides the package {name!r} of footnote-rag. Rename it, or run this from another folder."
            )


_check_siblings()

_HOMES = {
    "Rag": "rag.answer",
    "Settings": "rag.settings",
    "RagError": "index.errors",
    "Answer": "rag.values",
    "Chat": "rag.chat",
    "Citation": "rag.values",
    "CitationEvent": "rag.values",
    "Conflict": "rag.values",
    "Final": "rag.values",
    "Passage": "rag.values",
    "Sentence": "rag.values",
    "Step": "rag.values",
    "TextDelta": "rag.values",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rag' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
