"""Other frameworks' view of an index, with the real packages: LlamaIndex, LangChain, a Chroma collection of theirs."""

import asyncio
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from conftest import SAMPLE, WordHash

from index.errors import RagError
from rag import Rag
from rag.adapters.collections import _Piece as Piece
from rag.adapters.collections import joined, placed

QUESTION = "In which year was the fog siren at Skarn Head silenced?"


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("adapters") / "index")
    kb.sync(SAMPLE)
    return kb


def test_nodes_point_into_the_document(kb: Rag) -> None:
    found = kb.as_retriever(tokens=400).retrieve(QUESTION)
    assert len(found) > 1
    for node in found:
        text = kb.document(node.node.metadata["doc"]).text
        assert text[node.node.start_char_idx : node.node.end_char_idx] == node.node.text


def test_the_retriever_works_in_an_event_loop(kb: Rag) -> None:
    retriever = kb.as_retriever(k=3)
    assert [n.node_id for n in asyncio.run(retriever.aretrieve(QUESTION))] == [
        n.node_id for n in retriever.retrieve(QUESTION)
    ]


def test_the_query_engine_carries_our_citations(kb: Rag) -> None:
    answer, response = kb.ask(QUESTION), kb.as_query_engine().query(QUESTION)
    assert str(response) == answer.text
    assert response.metadata["citations"] == answer.to_dict()["citations"]
    assert [node.node.text for node in response.source_nodes] == [citation.quote for citation in answer.citations]
    assert response.metadata["conflicts"]


def test_a_tool_tells_an_agent_what_it_knows(kb: Rag) -> None:
    tool = kb.as_tool(name="island")
    assert tool.metadata.name == "island"
    assert "Skarn Head Lighthouse" in tool.metadata.description or "13 documents" in tool.metadata.description
    assert "1988" in tool.call(QUESTION).content


def test_a_retriever_of_ours_serves_their_query_engine(kb: Rag) -> None:
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine

    engine = RetrieverQueryEngine.from_args(kb.as_retriever(k=3), llm=MockLLM())
    assert len(engine.query(QUESTION).source_nodes) == 3


def test_a_node_postprocessor_drops_and_reorders(kb: Rag) -> None:
    from llama_index.core.postprocessor import SimilarityPostprocessor

    every = kb.search(QUESTION, k=10)
    cutoff = sorted(passage.score for passage in every)[5]
    cut = Rag(kb.index.folder, postprocessors=[SimilarityPostprocessor(similarity_cutoff=cutoff)])
    assert cut.search(QUESTION, k=10) == [passage for passage in every if passage.score >= cutoff]
    none = Rag(kb.index.folder, postprocessors=[SimilarityPostprocessor(similarity_cutoff=99)])
    assert none.retrieve(QUESTION, k=10).note == "The node postprocessors left no passage."


def test_a_node_that_is_no_passage_is_refused(kb: Rag) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode

    class Inventing:
        def postprocess_nodes(self, nodes, query_str):
            return [*nodes, NodeWithScore(node=TextNode(text="made up"), score=1.0)]

    with pytest.raises(RagError, match="no passage of ours"):
        Rag(kb.index.folder, postprocessors=[Inventing()]).search(QUESTION, k=3)


def test_langchain_gets_documents_with_their_place(kb: Rag) -> None:
    retriever = kb.as_langchain_retriever(tokens=400)
    found = retriever.invoke(QUESTION)
    assert [document.page_content for document in found] == [p.text for p in kb.search(QUESTION, tokens=400)]
    for document in found:
        place = document.metadata
        assert kb.document(place["doc"]).text[place["start"] : place["end"]] == document.page_content
    assert asyncio.run(retriever.ainvoke(QUESTION)) == found


def test_nothing_of_theirs_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, rag; rag.Rag('nowhere')\n"
        "assert not {'llama_index.core', 'langchain_core', 'IPython', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# A collection that LlamaIndex filled


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As LlamaIndex' quick start over Chroma leaves it, with overlapping chunks."""
    import chromadb
    from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.vector_stores.chroma import ChromaVectorStore

    folder = tmp_path_factory.mktemp("theirs") / "chroma"
    client = chromadb.PersistentClient(str(folder))
    store = client.create_collection("mine", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
    lighthouse = (SAMPLE / "skarn-head-lighthouse.md").read_text("utf-8")
    pages = ["The harbour master of Norrby is Anna Lind.", "The harbour of Norrby freezes in January."]
    VectorStoreIndex.from_documents(
        [Document(text=lighthouse, metadata={"file_path": "/home/someone/skarn.md", "author": "A. Keeper"})]
        + [
            Document(text=text, metadata={"file_name": "norrby.pdf", "page_label": str(number)})
            for number, text in enumerate(pages, 1)
        ],
        storage_context=StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=store)),
        embed_model=MockEmbedding(8),
        transformations=[SentenceSplitter(chunk_size=128, chunk_overlap=30)],
    )
    client.close()
    return folder


def test_their_documents_are_put_together_from_their_chunks(collection: Path, tmp_path: Path, words: WordHash) -> None:
    before = {file: file.read_bytes() for file in collection.rglob("*") if file.is_file()}
    with pytest.warns(UserWarning, match="offsets point into this text, not into the files"):
        kb = Rag.from_chroma(collection, "mine", tmp_path / "index", embedder=words)
    assert [info.doc for info in kb.documents()] == ["norrby.pdf", "skarn.md"]
    original = (SAMPLE / "skarn-head-lighthouse.md").read_text("utf-8")
    assert kb.document("skarn.md").text.split() == original.split()
    assert kb.document("skarn.md").meta["author"] == "A. Keeper"
    assert len(kb.document("norrby.pdf").pages) == 2
    (citation,) = kb.ask("Who is the harbour master of Norrby?").citations[:1]
    assert citation.page == 1
    assert {file: file.read_bytes() for file in before} == before


def test_an_unknown_collection_names_those_there_are(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(RagError, match="there are: mine"):
        Rag.from_chroma(collection, "other", tmp_path / "index")
    with pytest.raises(RagError, match="is no Chroma folder"):
        Rag.from_chroma(tmp_path, "mine", tmp_path / "index")


def test_chunks_stand_where_they_began() -> None:
    pieces = [Piece("a", 9, "three four", {}), Piece("a", 0, "one two", {}), Piece("a", 4, "two\n\nthree", {})]
    assert placed(pieces) == "one two\n\nthree four"


def test_chunks_that_contradict_each_other_are_not_placed() -> None:
    assert placed([Piece("a", 0, "one two", {}), Piece("a", 4, "six", {})]) is None
    assert placed([Piece("a", None, "one", {})]) is None


def test_joining_takes_what_overlaps_once() -> None:
    assert joined(["The ferry leaves at nine o'clock.", "leaves at nine o'clock. It is blue."]) == (
        "The ferry leaves at nine o'clock. It is blue."
    )
    assert joined(["One.", "Two."]) == "One.\n\nTwo."


def test_reading_a_collection_warns_once_a_note(collection: Path, tmp_path: Path, words: WordHash) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Rag.from_chroma(collection, "mine", tmp_path / "index", embedder=words)
    assert sum("put together" in str(warning.message) for warning in caught) == 1
