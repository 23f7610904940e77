"""Whatever bytes a reader is given, it makes a Document that can be cut into chunks, or says why not. Nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from broken_files import broken, flipped, good, hostile
from conftest import WordHash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.chunks import chunk_spans
from index.documents import Document, document_of
from index.errors import DocumentError
from index.readers import CODE, READERS

# One ending for each reader; of the readers of code, which are one function, two; Markdown is cut unlike plain text.
_CODE = " ".join(CODE.values()).split()
EACH_READER = sorted({READERS[ending]: ending for ending in READERS if ending not in _CODE}.values())
EACH_READER += [".md", ".py", ".tex"]


def read(data: bytes, ending: str, *, cut: bool = True) -> Document | None:
    """The document, held to its promises, or None when the reader refused with a reason."""
    try:
        document = document_of(data, f"x{ending}", ending)
    except DocumentError:
        return None
    assert any(char.isalnum() for char in document.text)
    document.text.encode("utf-8")
    assert document.title.strip()
    assert all(0 <= start <= end <= len(document.text) for start, end in document.pages)
    assert all(before[1] <= after[0] for before, after in pairwise(document.pages))
    if cut:
        chunks = chunk_spans(document, WordHash().token_starts(document.text), 60)
        assert chunks
        assert all(document.text[chunk.start : chunk.end].strip() for chunk in chunks)
        assert all(before.end <= after.start for before, after in pairwise(chunks))
    return document


@pytest.mark.parametrize("ending", sorted(READERS))
def test_good_files_are_read(ending: str) -> None:
    document = read(good(ending), ending)
    assert document is not None
    assert "34" in document.text


@pytest.mark.parametrize("ending", sorted(READERS))
def test_broken_files_are_read_or_refused(ending: str) -> None:
    outcomes = {name: read(data, ending) for name, data in broken(ending)}
    assert outcomes["empty"] is outcomes["white space"] is outcomes["punctuation"] is None


@pytest.mark.parametrize("ending", EACH_READER)
def test_hostile_files_are_read_or_refused(ending: str) -> None:
    for _, data in hostile(ending):
        read(data, ending, cut=len(data) < 500_000)


_FEW = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("ending", EACH_READER)
@_FEW
@given(data=st.binary(max_size=2000))
def test_any_bytes(ending: str, data: bytes) -> None:
    read(data, ending)


@pytest.mark.parametrize("ending", EACH_READER)
@_FEW
@given(seed=st.integers(0, 10**6), start=st.floats(0, 0.2), end=st.floats(0.5, 1), middle=st.binary(max_size=20))
def test_mutated_good_files(ending: str, seed: int, start: float, end: float, middle: bytes) -> None:
    data = flipped(good(ending), seed)
    read(data, ending)
    a, b = int(len(data) * start), int(len(data) * end)
    read(data[:a] + middle + data[a:b], ending)
