"""Conditions on documents and chunks: what `where` means. Knows values, not arrays, catalogs or rankings.

A filter maps fields to what is wanted: a value, a text with * (anything), a list (any of), or comparisons such as
{"date": {">=": "2020", "<": "2021-06"}}. All fields must fit. What a document does not say never fits, not even "!=".
Case counts in `doc` and `folder` alone; a heading fits when it contains the text.
"""

from __future__ import annotations

import fnmatch
import functools
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from index.errors import QueryError

Where = Mapping[str, Any]
Test = Callable[[Any], bool]

CHUNK_FIELDS = ("heading", "page")
"""Fields of a chunk; all others are fields of its document."""
ALIASES = {"type": "kind"}
_FIXED = ("doc", "title", "folder", "kind", *CHUNK_FIELDS, *ALIASES)

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip
_OPERATORS = ("=", "!=", *_ORDER)
_CONDITION = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:[T ].*)?)?)?")


def parse_condition(text: str) -> tuple[str, str, Any]:
    """`date>=2020` -> ("date", ">=", 2020). Numbers, true and false become values. Raises QueryError."""
    found = _CONDITION.fullmatch(text)
    if found is None or not found[3]:
        raise QueryError(f"The condition {text!r} was not understood; expected FIELD=VALUE, such as doc=report.pdf,"
                         " or a comparison with != < <= > >=, such as date>=2020.")  # fmt: skip
    return found[1], found[2].replace("==", "="), _value(found[3])


def parse_where(conditions: Iterable[str]) -> Where | None:
    """A filter out of typed conditions; several = of one field mean any of them. None without conditions."""
    where: dict[str, dict[str, Any]] = {}
    for text in conditions:
        field, sign, value = parse_condition(text)
        wanted = where.setdefault(field, {})
        if sign in _ORDER:
            if sign in wanted:
                raise QueryError(f"{field}{sign} is given twice; expected one bound a side.")
            wanted[sign] = value
        else:
            wanted.setdefault(sign, []).append(value)
    return where or None


def check_fields(where: Where, documents: Iterable[Mapping[str, Any]]) -> None:
    """Raises QueryError for a field that neither the index nor any document's metadata has."""
    if set(where) <= set(_FIXED):
        return
    known = set(_FIXED).union(*documents)
    for field in where:
        if field not in known:
            raise QueryError(f"There is no field {field!r} to filter on; known: {', '.join(sorted(known))}.")


def condition(field: str, wanted: Any) -> Test:
    """Whether a value of `field` is as wanted. Raises QueryError for an operator that does not exist."""
    field = ALIASES.get(field, field)
    given = wanted if isinstance(wanted, Mapping) else {"=": wanted}
    tests: list[Test] = []
    for sign, value in given.items():
        if sign not in _OPERATORS:
            raise QueryError(f"There is no comparison {sign!r} ({field}); known: {' '.join(_OPERATORS)}.")
        if sign in _ORDER:
            tests.append(functools.partial(_in_order, _ORDER[sign], value))
        else:
            several = isinstance(value, list | tuple | set | frozenset)
            tests.append(_any_of(field, list(value) if several else [value], sign))
    return lambda value: value is not None and all(test(value) for test in tests)


def spelled(field: str, wanted: Any) -> str:
    """A condition as a person would type it: `doc=a.txt or b.txt`, `date>=2020 and date<2021`."""
    given = wanted if isinstance(wanted, Mapping) else {"=": wanted}
    several = {
        sign: value if isinstance(value, list | tuple | set | frozenset) else [value] for sign, value in given.items()
    }
    return " and ".join(f"{field}{sign}{' or '.join(map(str, values))}" for sign, values in several.items())


def folders_of(doc: str) -> tuple[str, ...]:
    """Every folder above a document: `a/b/c.pdf` -> (`a/b`, `a`)."""
    return tuple(str(parent) for parent in PurePosixPath(doc).parents if str(parent) not in (".", "/"))


def _any_of(field: str, wanted: Sequence[Any], sign: str) -> Test:
    tests = [_equals(field, one) for one in wanted]

    def test(value: Any) -> bool:
        values = value if isinstance(value, list | tuple) else (value,)
        return any(one(each) for each in values for one in tests) == (sign == "=")

    return test


def _equals(field: str, wanted: Any) -> Test:
    fold = _plain if field in ("doc", "folder") else _folded
    text = fold(wanted)
    if field == "folder":
        text = text.rstrip("/")
    if field == "heading" and "*" not in text:
        return lambda value: text in fold(value)
    if isinstance(wanted, str) and "*" in wanted:
        # Only * is special here; ? and [ are characters of file names.
        pattern = re.compile(fnmatch.translate(re.sub(r"([?\[])", r"[\1]", text)))
        return lambda value: pattern.match(fold(value)) is not None
    if _DATE.fullmatch(text):
        return lambda value: fold(value) == text or (_is_date(value) and str(value).startswith(text))
    if field == "doc" or not _NUMBER.fullmatch(text):
        return lambda value: fold(value) == text
    number = float(text)
    return lambda value: fold(value) == text or _number(value) == number


def _in_order(compare: Callable[[Any, Any], bool], wanted: Any, value: Any) -> bool:
    """Numbers by size; else as texts, as far as `wanted` goes: 2020-05-03 is neither before nor after 2020."""
    if isinstance(value, list | tuple):
        return any(_in_order(compare, wanted, one) for one in value)
    left, right = _number(value), _number(wanted)
    if left is not None and right is not None:
        return compare(left, right)
    if _is_date(wanted):
        return _is_date(value) and compare(str(value)[: len(str(wanted))], str(wanted))
    return right is None and compare(_folded(value), _folded(wanted))


def _is_date(value: Any) -> bool:
    return _DATE.fullmatch(str(value)) is not None


def _number(value: Any) -> float | None:
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else value
    return float(value) if _NUMBER.fullmatch(str(value)) else None


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    # "007" and "1.10" may be names of versions; what a number would not give back stays text.
    number = (float if "." in text else int)(text) if _NUMBER.fullmatch(text) else None
    return number if str(number) == text else text


def _plain(value: Any) -> str:
    return str(value)


def _folded(value: Any) -> str:
    return str(value).casefold()
