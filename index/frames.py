"""Plain rows as pandas frames, for notebooks. pandas is no dependency of the program: what needs it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from index.errors import MissingExtraError


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Any:
    """A pandas DataFrame, a row each; `columns` names them where there may be no row. Raises MissingExtraError."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("A pandas frame", "notebook") from error
    return pd.DataFrame(list(rows), columns=columns)
