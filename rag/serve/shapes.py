"""The JSON of requests and replies, as pydantic models: what is checked, and what the OpenAPI page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from rag.values import Citation, Passage, Verdict

LONGEST_QUESTION = 20_000
MOST_TOKENS = 100_000
MOST_PASSAGES = 1000

Scalar = str | int | float | bool
Question = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION, examples=["When was the tower built?"])]
Tokens = Annotated[int | None, Field(ge=1, le=MOST_TOKENS, description="Budget in cl100k tokens.")]
Where = Annotated[
    dict[str, Scalar | list[Scalar] | dict[str, Scalar | list[Scalar]]] | None,
    Field(
        description='Only what fits all of it: {"doc": "a*.pdf"}, {"date": {">=": "2020", "<": "2022"}}; * stands for '
        "anything, a list for any of.",
        examples=[{"doc": "*.pdf"}],
    ),
]


class Shape(BaseModel):
    """A request in which an unknown field is an error, so that a mistyped one is not ignored."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Shape):
    """What to look for."""

    question: Question
    tokens: Tokens = None
    k: Annotated[int | None, Field(ge=1, le=MOST_PASSAGES, description="Number of passages, not a budget.")] = None
    where: Where = None


class AskRequest(Shape):
    """A question, and the turns before it."""

    question: Question
    tokens: Tokens = None
    where: Where = None
    history: Annotated[
        list[tuple[str, str]], Field(max_length=200, description="[question, answer] pairs, oldest first.")
    ] = []


class SyncRequest(Shape):
    """What to read again; nothing means all that was synced before."""

    targets: Annotated[list[str], Field(max_length=1000)] = []
    remove_most: Annotated[
        StrictBool, Field(description="Go on where more than half of a folder's documents would be removed.")
    ] = False


class Found(BaseModel):
    """Passages, best first."""

    query: str
    passages: list[Passage]
    note: Annotated[str, Field(description="Why nothing was found, or what was left out.")] = ""


class DocumentEntry(BaseModel):
    """A document as listed. Where it lies on the server's disk is not told."""

    doc: str
    title: str
    sha256: str
    characters: int
    pages: int
    chunks: int
    meta: dict[str, Any]
    indexed: Annotated[float, Field(description="Seconds since 1970.")]


class Documents(BaseModel):
    """All documents, by name."""

    documents: list[DocumentEntry]


class DocumentText(DocumentEntry):
    """A document, with the range of its text that was asked for."""

    start: int | None = None
    end: int | None = None
    text: str | None = None


class Failure(BaseModel):
    """A document that could not be read, and why."""

    doc: str
    reason: str


class Move(BaseModel):
    """A document that was renamed."""

    before: str
    after: str


class SyncDone(BaseModel):
    """What a write did: names of documents, those that failed, counts of chunks."""

    added: list[str]
    changed: list[str]
    moved: list[Move]
    removed: list[str]
    unchanged: list[str]
    failed: list[Failure]
    warnings: list[str]
    chunks: int
    embedded: int
    seconds: float


class Health(BaseModel):
    """Whether the server is there, and ready."""

    status: Literal["ok", "not ready"]
    reason: str = ""


class ErrorDetail(BaseModel):
    """What went wrong: `message` is meant to be read, `code` to be compared."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """OpenAI's error object, which every refusal and failure has."""

    error: ErrorDetail


# OpenAI's chat protocol, as far as it means something here. Fields that are not listed are accepted and have no effect.


class ContentPart(BaseModel):
    """A part of a message; only text can be read."""

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """A message. Those of system, developer and tool are not used: the rules that keep citations right are ours."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None


class StreamOptions(BaseModel):
    """Of a streamed reply."""

    include_usage: StrictBool = False


class FootnoteOptions(Shape):
    """Our extension of the request (`extra_body={"footnote": {...}}` in the openai client)."""

    answer: Annotated[StrictBool, Field(description="Also give the whole answer, passages and trace included.")] = False
    footnotes: Annotated[StrictBool | None, Field(description="End the text with the quotes; default: as served.")] = (
        None
    )
    where: Where = None
    tokens: Tokens = None


class ChatRequest(BaseModel):
    """The last user message is the question, the turns before it are the history."""

    model: Annotated[str, Field(examples=["footnote"], description="As /v1/models lists it.")]
    messages: Annotated[
        list[ChatMessage],
        Field(min_length=1, max_length=1000, examples=[[{"role": "user", "content": "When was the tower built?"}]]),
    ]
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    footnote: FootnoteOptions | None = None


class UrlCitation(BaseModel):
    """Where in the message a marker stands, and where its source can be read."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(BaseModel):
    """OpenAI's url_citation, with our own pointer beside it."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation
    citation: Citation


class CheckedSentence(BaseModel):
    """A sentence of the reply, how well its sources carry it, and the numbers of those sources."""

    text: str
    verdict: Verdict
    support: float
    citations: list[int]


class Position(BaseModel):
    """A value, the numbers of the citations that give it, and what their documents are dated ("": nothing is known)."""

    value: str
    citations: list[int]
    date: str = ""


class Disagreement(BaseModel):
    """Sources that give different values for what was asked."""

    aspect: str
    positions: list[Position]


class FootnoteReply(BaseModel):
    """Our extension of the reply. `answer` is the whole answer, where it was asked for."""

    abstained: bool
    confidence: float
    headline: Annotated[str, Field(description="The short answer the text begins with, where there is one.")]
    model: str
    sentences: list[CheckedSentence]
    conflicts: list[Disagreement]
    timings: Mapping[str, float]
    answer: dict[str, Any] | None = None


class ReplyMessage(BaseModel):
    """The reply: text with the markers [1] [2], and an annotation for each."""

    role: Literal["assistant"] = "assistant"
    content: str
    annotations: list[Annotation]
    refusal: None = None


class ChatChoice(BaseModel):
    """The only choice."""

    index: int = 0
    message: ReplyMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatUsage(BaseModel):
    """Tokens of the language model behind the index; all zero without one."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatReply(BaseModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    footnote: FootnoteReply


class ServedModel(BaseModel):
    """An index as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "footnote"


class ServedModels(BaseModel):
    """What can be asked: the one index."""

    object: Literal["list"] = "list"
    data: list[ServedModel]
