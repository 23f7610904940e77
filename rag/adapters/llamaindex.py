"""Our passages and answers as LlamaIndex has them: a retriever, a query engine, a tool; and its node postprocessors.

Offsets survive: `start_char_idx` and `end_char_idx` of every node point into `kb.document(node.metadata["doc"]).text`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.response.schema import Response
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool

from index.errors import RagError
from rag.answer import Rag
from rag.values import Answer, Citation, Passage

_HIDDEN = ["start", "end"]
"""Metadata for programs; a model that reads the node is not shown it."""


class PassageRetriever(BaseRetriever):  # type: ignore[misc]
    """`kb.search` behind LlamaIndex' retriever interface; `options` are those of `search`."""

    def __init__(self, kb: Rag, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._kb, self._options = kb, options

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [node_of(passage) for passage in self._kb.search(query_bundle.query_str, **self._options)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class AnswerEngine(CustomQueryEngine):  # type: ignore[misc]
    """`kb.ask` behind LlamaIndex' query engine interface.

    The response's source nodes are the cited spans, in the order of their numbers; its metadata has `citations`,
    `sentences` with their verdicts, `conflicts`, `abstained`, `confidence`, `model` and `usage`, as `Answer.to_dict`.
    """

    kb: Any
    options: Any

    def custom_query(self, query_str: str) -> Response:
        """Ask, blocking."""
        return response_of(self.kb.ask(query_str, **self.options))

    async def acustom_query(self, query_str: str) -> Response:
        """Ask off the event loop's thread."""
        return response_of(await self.kb.aask(query_str, **self.options))


def tool(kb: Rag, name: str, description: str | None, options: Mapping[str, Any]) -> QueryEngineTool:
    """A tool for agents; the default description names some of the documents, so that an agent knows when to use it."""
    if description is None:
        titles = [info.title for info in kb.documents()]
        named = "; ".join(titles[:8]) + ("; and more" if len(titles) > 8 else "")
        description = (
            "Answers a question from the user's own documents, quoting them with citations, and says so when they do "
            f"not hold the answer. {len(titles)} documents: {named}."
        )
    return QueryEngineTool.from_defaults(AnswerEngine(kb=kb, options=options), name=name, description=description)


def node_of(passage: Passage) -> NodeWithScore:
    """A passage as a node with its offsets; the score orders nodes of one question and is no cosine."""
    node = _node(passage.doc, passage.start, passage.end, passage.text, {"title": passage.title}, passage.page)
    return NodeWithScore(node=node, score=passage.score)


def response_of(answer: Answer) -> Response:
    """An answer as a response; a source node's score is the best support that a sentence finds in its span."""
    told = answer.to_dict()
    kept = ("citations", "sentences", "conflicts", "abstained", "confidence", "model", "usage")
    nodes = [
        NodeWithScore(
            node=_node(c.doc, c.start, c.end, c.quote, {"number": c.number}, c.page), score=_support(answer, c)
        )
        for c in answer.citations
    ]
    return Response(response=answer.text, source_nodes=nodes, metadata={name: told[name] for name in kept})


def postprocess(postprocessors: Sequence[Any], question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages that LlamaIndex node postprocessors leave, in their order.

    A postprocessor may drop, reorder and rescore. Text that it rewrites is not taken over: a passage is the document's
    own words. Raises RagError for a node that it made up.
    """
    nodes = [node_of(passage) for passage in passages]
    ours = {node.node.node_id: passage for node, passage in zip(nodes, passages, strict=True)}
    for postprocessor in postprocessors:
        nodes = postprocessor.postprocess_nodes(nodes, query_str=question)
    foreign = [node.node.node_id for node in nodes if node.node.node_id not in ours]
    if foreign:
        raise RagError(f"A node postprocessor returned a node that is no passage of ours: {foreign[0]}.")
    return [ours[node.node.node_id] for node in nodes]


def _node(doc: str, start: int, end: int, text: str, more: Mapping[str, Any], page: int | None) -> TextNode:
    metadata = {"doc": doc, **more, "start": start, "end": end} | ({"page": page} if page else {})
    return TextNode(
        id_=f"{doc}:{start}-{end}",
        text=text,
        metadata=metadata,
        start_char_idx=start,
        end_char_idx=end,
        excluded_llm_metadata_keys=_HIDDEN,
        excluded_embed_metadata_keys=_HIDDEN,
    )


def _support(answer: Answer, citation: Citation) -> float | None:
    found = [sentence.support for sentence in answer.sentences if citation in sentence.citations]
    return max(found, default=None)
