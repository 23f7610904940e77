"""Our passages as LangChain has them: a retriever. Needs the `langchain` extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag.values import Passage


class PassageRetriever(BaseRetriever):  # type: ignore[misc]
    """`kb.search` behind LangChain's retriever interface; `options` are those of `search`.

    Metadata of each document: `doc`, `title`, `page`, `start`, `end` (into `kb.document(doc).text`) and `score`.
    """

    kb: Any
    options: Mapping[str, Any] = {}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [document_of(passage) for passage in self.kb.search(query, **self.options)]


def document_of(passage: Passage) -> Document:
    """A passage as a LangChain document, its place in the metadata."""
    place = {name: getattr(passage, name) for name in ("doc", "title", "page", "start", "end", "score")}
    known = {name: value for name, value in place.items() if value is not None}
    return Document(id=f"{passage.doc}:{passage.start}-{passage.end}", page_content=passage.text, metadata=known)
