"""The room of kept conversations: listed, searched, reopened, renamed, deleted. Wires only; see `ui.conversations`."""

from typing import Any

import gradio as gr

from index.errors import RagError
from rag.display.prose import escape
from ui.chat import Conversation
from ui.conversations import Deleted
from ui.desk import Desk
from ui.keeping import reopened
from ui.page.parts import AT_ONCE, UNDOABLE, done, html, script, told
from ui.server import user_of
from ui.talks import talks_html


class Talks:
    """The left room."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Column(elem_id="side"):
            self.again = gr.Button("New chat", elem_id="again", size="sm")
            self.words = gr.Textbox(
                label="Search conversations", show_label=False, placeholder="Search conversations", container=False,
                max_lines=1, max_length=200, elem_id="talk-search", type="text",
            )  # fmt: skip
            self.list = html("", "talks", script("acts.js", "talks.js"))
            self.deleted = gr.State(None, time_to_live=UNDOABLE)  # what the list offers to bring back

    def wire(self, page: gr.Blocks, chat: Any) -> None:
        """What one does in the list."""
        page.load(self.find, [self.words, chat.conversation], self.list, **AT_ONCE)
        shown = [*chat.parts, self.list]
        self.list.select(self.open, [chat.conversation, self.words], shown, cancels=chat.asking, **AT_ONCE)
        acting = [chat.conversation, self.words, self.deleted]
        self.list.input(self.act, acting, [*shown, self.deleted], **AT_ONCE)
        self.words.change(self.find, [self.words, chat.conversation], self.list, **AT_ONCE)
        self.again.click(self.begin, self.words, shown, cancels=chat.asking, **AT_ONCE)
        self.chat = chat

    def begin(self, words: str, request: gr.Request) -> Any:
        """A conversation without turns."""
        return *self.chat.begun(), listed(self.desk, user_of(request), None, words)

    def find(self, words: str, conversation: Conversation, request: gr.Request) -> str:
        """The conversations that hold the words."""
        return listed(self.desk, user_of(request), conversation.id, words)

    def open(self, now: Conversation, words: str, event: gr.EventData, request: gr.Request) -> Any:
        """Take up a conversation where it was left."""
        user = user_of(request)
        try:
            conversation = reopened(self.desk, user, told(event).get("id", ""))
        except RagError as error:
            return *[gr.skip()] * 4, _alert(error) + listed(self.desk, user, now.id, words)
        return *self.chat.shown(conversation), listed(self.desk, user, conversation.id, words)

    def act(
        self, now: Conversation, words: str, deleted: Deleted | None, event: gr.EventData, request: gr.Request
    ) -> Any:
        """Rename, delete or bring back a conversation; the one that is open closes when it is deleted."""
        user, data = user_of(request), told(event)
        kept, act, id = self.desk.conversations, data.get("act"), data.get("id", "")
        parts: Any = [gr.skip()] * 4
        news = ""
        try:
            if act == "rename":
                kept.rename(user, id, data.get("title", ""))
            elif act == "delete":
                deleted = kept.delete(user, id)
                news = done(f"“{deleted.title}” is deleted.", undo=True)
                if id == now.id:
                    now = Conversation()
                    parts = self.chat.begun()
            elif act == "undo":
                news = self._back(deleted)
                deleted = None
        except RagError as error:
            news = _alert(error)
        return *parts, news + listed(self.desk, user, now.id, words), deleted

    def _back(self, deleted: Deleted | None) -> str:
        if deleted is None:
            raise RagError(f"What was deleted is kept for {UNDOABLE // 60} minutes only.")
        self.desk.conversations.restore(deleted)
        return done(f"“{deleted.title}” is back.")


def _alert(error: RagError) -> str:
    return f'<p class="warning" role="alert">{escape(error)}</p>'


def listed(desk: Desk, user: str, current: str | None = None, words: str = "") -> str:
    """The list as HTML; where it cannot be read, the reason."""
    try:
        found = desk.conversations.search(user, words) if words.strip() else desk.conversations.recent(user)
    except RagError as error:
        return _alert(error)
    return talks_html(found, current, words)
