"""The errors a person is meant to read: what was found, what was expected, what to type.

Every class derives from `RagError`; the command line prints the message without a traceback.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of every error that the user can act on."""


class SettingsError(RagError):
    """A setting is unknown, has the wrong type or lies outside its range."""


class IndexMissingError(RagError):
    """There is no index where one was expected."""


class IndexMismatchError(RagError):
    """The index was made with another embedder, chunking or schema than the one asked for."""


class IndexLockedError(RagError):
    """Another process is writing to the index."""


class IndexDamagedError(RagError):
    """A file of the index cannot be read or contradicts another one."""


class DocumentError(RagError):
    """One document cannot be read; the others are not affected."""


class QueryError(RagError):
    """The question, filter or budget cannot be searched with."""


class ModelError(RagError):
    """The language model cannot be reached, refused, or broke off."""


class MissingExtraError(RagError):
    """An optional package is needed; the message carries the pip line."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed. Type: pip install 'footnote-rag[{extra}]'")
