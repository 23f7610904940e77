"""The room of sources: a document beside the chat, and picking the passage that would have been right. Wires only."""

from typing import Any

import gradio as gr

from index.errors import RagError
from rag.explain import find_phrase
from ui.chat import Conversation
from ui.desk import Desk
from ui.feedback import picked
from ui.letters import find_words
from ui.page.parts import AT_ONCE, html, script, told
from ui.server import user_of
from ui.turns import live, past
from ui.viewer import opened, shelf


class Source:
    """The right room."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

        def show(place: Any) -> str:
            return opened(desk.kb, place)

        show.__name__ = "opened"
        with gr.Column(elem_id="source"):
            self.panel = html(shelf(desk.kb.documents()), "panel", script("source.js"), [show])
            self.pick = html(_PICK, "pick", script("pick.js"))

    def wire(self, chat: Any) -> None:
        """Keeping the passage that somebody picked."""
        self.pick.input(self.keep, chat.conversation, [chat.past, chat.live, chat.conversation], **AT_ONCE)

    def keep(self, conversation: Conversation, event: gr.EventData, request: gr.Request) -> Any:
        """The words that were marked in a document are the right passage of a turn."""
        data, user = told(event), user_of(request)
        view = conversation.view(data.get("turn"))
        if view is not None and view.row is not None and conversation.id is not None:
            note = ""
            try:
                text = self.desk.kb.document(data.get("doc", "")).text
                words = data.get("quote", "").strip()
                span = find_phrase(text, words) or find_words(text, words)
                if span is None:
                    raise RagError("These words do not stand in the document; mark them there.")
                self.desk.feedback.give(user, view.row, "passage", span=picked(self.desk.kb, data["doc"], *span))
            except RagError as error:
                note = str(error)
            said = self.desk.feedback.given(user, conversation.id).get(view.row, ())
            conversation.mark(int(data["turn"]), said=tuple(said), note=note)
        return past(conversation), live(conversation), conversation


_PICK = """\
<section aria-label="The right passage"><p>Which words answer <q></q>? Open the document, mark them, then keep them.</p>
<textarea rows="3" aria-label="The right words" placeholder="Mark the words in the text, or type them here"></textarea>
<div class="row"><button type="button" class="button" data-picked="">This is the right passage</button>
<button type="button" class="plain" data-unpick="">Cancel</button></div></section>"""
