"""Does it work? Suites in, scores with intervals out. Knows the front door of `rag`, no inside of it, and no page."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evals.comparison import Comparison, compare
    from evals.gold import Case, SuiteError
    from evals.matrix import vary
    from evals.record import Record, load_run
    from evals.rescoring import rescore
    from evals.runs import run
    from evals.suite import Suite, load_suite

__all__ = [
    "Case",
    "Comparison",
    "Record",
    "Suite",
    "SuiteError",
    "compare",
    "load_run",
    "load_suite",
    "rescore",
    "run",
    "vary",
]

# No module is named like a public function: loading the module would put itself in the function's place.
_HOMES = {
    "Case": "gold",
    "Comparison": "comparison",
    "Record": "record",
    "Suite": "suite",
    "SuiteError": "gold",
    "compare": "comparison",
    "load_run": "record",
    "load_suite": "suite",
    "rescore": "rescoring",
    "run": "runs",
    "vary": "matrix",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: importing `evals` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evals' has no attribute {name!r}")
    return getattr(import_module(f"evals.{_HOMES[name]}"), name)
