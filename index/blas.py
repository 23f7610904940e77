"""How many threads numpy's products run on. Changes nothing until asked, and what it changes it puts back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """numpy's BLAS on one thread for as long as the block runs, in the whole process.

    A question is many small products, and waking a second thread costs more than it does: on two busy cores the vector
    of a question took 20 to 35 ms instead of 80 to 120, and 9 ms of CPU instead of 57.
    """
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> Any:
    import numpy  # noqa: F401  # the controller knows the libraries that are loaded when it is made
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
