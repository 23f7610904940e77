"""The talk: turns, the question field, the documents that are asked. Wires only; see `ui.chat` and `ui.turns`."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from index.errors import RagError
from rag.display.prose import attributes, escape
from ui.answers import failure, in_line
from ui.chat import LONGEST_QUESTION, Conversation, View, Wishes
from ui.desk import Desk
from ui.examples import examples
from ui.keeping import cut, keep
from ui.line import Line
from ui.page.parts import AT_ONCE, QUIET, html, script, told
from ui.preferences import Preferences
from ui.scope import Names, Scope, choices, chosen
from ui.server import user_of
from ui.turns import live, past

ANSWERS = 16
"""Answers at a time: models wait on others, and a search takes a fraction of a second. The rest wait in line."""

PEOPLE = 200
"""Questions that may stand in line; who comes then is told that the page is busy."""

_ASKED = {"value": "", "submit_btn": False, "stop_btn": "Stop"}
_READY = {"submit_btn": "Ask", "stop_btn": False}


class Chat:
    """The middle room; `conversation` is the state of one open page."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.line = Line(ANSWERS)
        with gr.Column(elem_id="chat"):
            self.conversation = gr.State(Conversation())  # each session works on its own copy
            with gr.Column(elem_id="talk"):
                self.past = html("", "past", script("acts.js"))
                self.live = html(welcome(desk), "live", script("acts.js", "live.js"))
            self.named = html(_scope_button(Scope()), "scope-name", script("scope.js"))
            with gr.Column(elem_id="scope"):
                self.scope = self._scope()
            self.question = gr.Textbox(
                placeholder="Ask your documents", show_label=False, label="Question", container=False, lines=1,
                max_lines=8, max_length=LONGEST_QUESTION, submit_btn="Ask", stop_btn=False, autofocus=True,
                elem_id="question",
            )  # fmt: skip

    def _scope(self) -> list[Any]:
        def several(label: str, listed: list[str]) -> gr.Dropdown:
            return gr.Dropdown(
                listed, value=[], multiselect=True, label=label, min_width=120, allow_custom_value=True,
                elem_id=f"scope-{label.lower()}",
            )  # fmt: skip

        docs, folders, kinds = choices(self.desk.kb.documents())
        chosen = [several("Documents", docs)]
        with gr.Row():
            chosen += [several("Folders", folders), several("Kinds", kinds)]
            dates = [
                gr.Textbox(label=label, placeholder="2024-06-30", max_lines=1, max_length=10, min_width=110)
                for label in ("Dated from", "Dated until")
            ]
            self.everything = gr.Button("Ask all", size="sm", scale=0, min_width=80)
        return [*chosen, *dates]

    def wire(self, talks: Any, settings: Any, source: Any) -> None:
        """Asking, stopping, asking again; what one says of answers; which documents are asked."""
        self.parts = [self.question, self.past, self.live, self.conversation]
        asked = [self.conversation, settings.kept, *self.scope]
        shown = [*self.parts, talks.list]
        answering = {"concurrency_id": "answers", "concurrency_limit": PEOPLE, **QUIET}
        self.asking = [
            self.question.submit(self.ask, [self.question, *asked], shown, **answering),
            *(part.select(self.ask_from_page, asked, shown, **answering) for part in (self.past, self.live)),
        ]
        self.question.stop(
            self.stop, self.conversation, [self.question, self.live, self.conversation], cancels=self.asking, **AT_ONCE
        )
        for part in (self.past, self.live):
            part.input(self.act, self.conversation, self.parts, **AT_ONCE)
        for part in self.scope:
            part.change(lambda *scope: _scope_button(chosen(*scope)), self.scope, self.named, **AT_ONCE)
        self.everything.click(lambda: ([], [], [], "", ""), None, self.scope, **AT_ONCE)

    # Asking

    async def ask(
        self,
        question: str,
        conversation: Conversation,
        kept: Any,
        docs: Names,
        folders: Names,
        kinds: Names,
        since: str,
        until: str,
        request: gr.Request,
    ) -> AsyncGenerator[Any, None]:
        """A question into an answer: the states of the page on the way."""
        question, scope = question.strip(), chosen(docs, folders, kinds, since, until)
        if not question:
            yield [gr.skip()] * 5
            return

        def wait(before: int) -> Any:
            words = f"In line: {before} before you …" if before else "Yours is the next question …"
            waiting = replace(conversation, views=[*conversation.views, View(question, status=in_line(words))])
            return gr.update(**_ASKED), past(waiting), live(waiting), gr.skip(), gr.skip()

        user, mine = user_of(request), Preferences.read(kept)
        answer = partial(self.answer, question, conversation, mine, scope, user)
        async with aclosing(self.line.served(answer, wait)) as states:
            async for state in states:
                yield state

    def answer(
        self, question: str, conversation: Conversation, mine: Preferences, scope: Scope, user: str
    ) -> Generator[Any, None, None]:
        """When it is this question's turn."""
        try:
            where = scope.where()
            cut(self.desk, user, conversation)
        except RagError as error:
            yield *self._refused(conversation, question, error), gr.skip()
            return
        # The field and the turns before are sent once, only the new turn again and again.
        rest: Any = None
        wishes = Wishes(where, mine.model if self.desk.alone else None, mine.tokens)
        with closing(conversation.ask(mine.applied(self.desk.kb), question, wishes)) as states:
            for _ in states:
                rest = (gr.skip(), gr.skip()) if rest else (gr.update(**_ASKED), past(conversation))
                yield *rest, live(conversation), gr.skip(), gr.skip()
        keep(self.desk, user, conversation)
        # Given back once a turn, though changed in place: Gradio forgets only sessions whose state it saw written.
        yield gr.update(**_READY), gr.skip(), live(conversation), conversation, self._listed(user, conversation)

    async def ask_from_page(
        self,
        conversation: Conversation,
        kept: Any,
        docs: Names,
        folders: Names,
        kinds: Names,
        since: str,
        until: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncGenerator[Any, None]:
        """An example, or a question once more."""
        data = told(event)
        question = data.get("question", "")
        view = conversation.view(data.get("turn"))
        if view is not None:
            question = view.question
            conversation.editing = int(data["turn"]) - 1
        if "anyway" in data:
            kept = {**kept, "min_confidence": 0.0} if isinstance(kept, dict) else {"min_confidence": 0.0}
        asking = self.ask(question, conversation, kept, docs, folders, kinds, since, until, request)
        async with aclosing(asking) as states:
            async for state in states:
                yield state

    def _refused(self, conversation: Conversation, question: str, error: RagError) -> tuple[Any, ...]:
        conversation.editing = None
        conversation.views.append(View(question, failure(str(error)), done=True))
        return gr.update(**{**_READY, "value": question}), past(conversation), live(conversation), conversation

    def _listed(self, user: str, conversation: Conversation) -> str:
        from ui.page.talks import listed

        return listed(self.desk, user, conversation.id)

    def stop(self, conversation: Conversation) -> Any:
        """End the running turn where it is."""
        conversation.stop()
        conversation.editing = None  # a question that was asked again, and still waited
        return gr.update(**_READY), live(conversation) or welcome(self.desk), conversation

    # The tools below a turn

    def act(self, conversation: Conversation, event: gr.EventData, request: gr.Request) -> Any:
        """Begin to write a question anew, leave it, or say something of an answer."""
        data = told(event)
        number = conversation.view(data.get("turn")) and int(data["turn"])
        field = gr.skip()
        if data.get("act") == "edit" and number:
            conversation.editing = number - 1
            field = gr.update(value=conversation.views[number - 1].question)
        elif data.get("act") == "keep":
            conversation.editing = None
            field = gr.update(value="")
        elif data.get("act") == "say" and number:
            self.say(conversation, number, data, user_of(request))
        return field, past(conversation), live(conversation), conversation

    def say(self, conversation: Conversation, number: int, data: dict[str, str], user: str) -> None:
        """Keep or take back what a person says of an answer."""
        view = conversation.views[number - 1]
        if view.row is None or conversation.id is None:
            return
        kind, citation = data.get("kind", ""), data.get("citation", "")
        about: Any = {"citation": int(citation) if citation.isdecimal() else None}
        note = ""
        try:
            if data.get("pressed") == "true":
                self.desk.feedback.take_back(user, view.row, kind, **about)
            else:
                self.desk.feedback.give(user, view.row, kind, **about)
        except RagError as error:
            note = str(error)
        said = self.desk.feedback.given(user, conversation.id).get(view.row, ())
        conversation.mark(number, said=tuple(said), note=note)

    # What others do to the talk

    def begun(self) -> Any:
        """The parts as they are before the first question."""
        return gr.update(value="", **_READY), "", welcome(self.desk), Conversation()

    def shown(self, conversation: Conversation) -> Any:
        """The parts of a conversation that was reopened."""
        return gr.update(value="", **_READY), past(conversation), live(conversation), conversation


def _scope_button(scope: Scope) -> str:
    """Says what is asked of; the choice folds out of it."""
    return (
        f'<button type="button" class="plain" aria-expanded="false" aria-controls="scope">{escape(scope.words())}'
        '<span class="fold" aria-hidden="true"></span></button>'
    )


def welcome(desk: Desk) -> str:
    """What stands in the place of the first answer; made once for each version of the index."""
    exists = desk.kb.index.exists()
    return _welcome(desk, desk.kb.index.catalog.generation() if exists else -1)


@lru_cache(maxsize=4)
def _welcome(desk: Desk, generation: int) -> str:
    if not desk.kb.documents():
        return (
            '<section class="welcome"><h2>Nothing to ask yet</h2><p>No document is indexed. '
            '<a href="#library" data-view="library">Add some in the library</a>.</p></section>'
        )
    chip = {"type": "button", "class": "example", "data-act": "example"}
    chips = "".join(
        f"<button{attributes({**chip, 'data-question': q})}>{escape(q)}</button>" for q in examples(desk.kb)
    )
    return (
        '<section class="welcome"><h2>Ask your documents</h2>'
        "<p>Every sentence of an answer carries a number that opens the exact words it rests on.</p>"
        f'<div class="examples">{chips}</div></section>'
    )
