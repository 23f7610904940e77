"""Plain rows as pandas frames, for notebooks. pandas is no dependency of the program: what needs it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from index.errors import RagError


def frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A pandas DataFrame, a row each. Raises RagError where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise RagError("Frames need pandas, which is not installed. Type: pip install pandas") from error
    return pd.DataFrame(list(rows))
