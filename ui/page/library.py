"""The library: documents, files and addresses that come in, syncs, a search over passages. Wires only."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from index.errors import RagError
from index.readers import READERS
from index.sync import SyncReport
from index.web import is_url
from rag.display.prose import escape
from ui import uploads
from ui.answers import failure
from ui.desk import Desk
from ui.library import library_html, passages_html, plan_html, progress_html, report_html
from ui.page.chat import welcome
from ui.page.parts import AT_ONCE, QUIET, UNDOABLE, done, html, script, told
from ui.scope import choices, chosen
from ui.syncing import Progress, syncing
from ui.uploads import Removed
from ui.viewer import shelf

FOUND = 12
"""Passages shown by a search: two screens."""


class Library:
    """The room of documents."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Column(elem_id="library", elem_classes="room"):
            html("<h2>Library</h2>", "library-head")
            self.drop = html(_drop(), "drop", script("acts.js", "drop.js"))
            with gr.Row(elem_classes="line"):
                self.address = gr.Textbox(
                    label="Address of a web page" + (", or a folder of this machine" if desk.alone else ""),
                    placeholder="https://example.org/page" + (" or /home/me/papers" if desk.alone else ""),
                    max_lines=1, max_length=2000, scale=4, elem_id="address",
                )  # fmt: skip
                self.add = gr.Button("Add", size="sm", scale=0, elem_id="add")
                self.look = gr.Button("Check for changes", size="sm", scale=0, elem_id="look")
                self.sync = gr.Button("Sync", size="sm", scale=0, variant="primary", elem_id="sync")
            self.news = html("", "news", script("acts.js"))
            self.removed = gr.State(None, time_to_live=UNDOABLE)  # what the news offer to bring back
            self.search = gr.Textbox(
                label="Search passages", placeholder="Words or a question; the filters of the chat hold here, too",
                max_lines=1, max_length=1000, elem_id="passage-search",
            )  # fmt: skip
            self.found = html("", "found")
            self.name = gr.Textbox(
                label="Find a document", placeholder="Part of its name or title", max_lines=1, max_length=200,
                elem_id="name-search",
            )  # fmt: skip
            self.list = html("", "documents", script("acts.js", "grid.js"))

    def wire(self, page: gr.Blocks, chat: Any, source: Any) -> None:
        """Everything that changes the index shows it anew, here and in the chat."""
        self.changed = [self.news, self.list, *chat.scope[:3], source.panel, chat.live]
        inputs = [self.name, chat.conversation]
        working = {"concurrency_id": "sync", "concurrency_limit": 2, **QUIET}
        for event in (self.add.click, self.address.submit):
            event(self.add_address, [self.address, *inputs], self.changed, **working)
        self.sync.click(self.sync_all, inputs, self.changed, **working)
        self.drop.input(self.sync_uploads, inputs, self.changed, **working)
        self.list.input(self.act, inputs, [*self.changed, self.removed], **working)
        self.news.input(self.undo, [self.removed, *inputs], [*self.changed, self.removed], **working)
        self.look.click(self.plan, None, self.news, **working)
        self.search.submit(self.find, [self.search, *chat.scope], self.found, **QUIET)
        self.name.change(
            lambda name: library_html(self.desk.kb, name, self.desk.uploads.holds), self.name, self.list, **AT_ONCE
        )
        # A page that is opened later shows what was synced since.
        page.load(self.loaded, inputs, self.changed, **AT_ONCE)

    def loaded(self, name: str, conversation: Any) -> Any:
        """The index as it is now."""
        return self._all("", name, conversation)

    def _all(self, news: str, name: str, conversation: Any) -> list[Any]:
        kb = self.desk.kb
        scope = [gr.update(choices=listed) for listed in choices(kb.documents())]
        first = gr.skip() if conversation.views else welcome(self.desk)
        return [news, library_html(kb, name, self.desk.uploads.holds), *scope, shelf(kb.documents()), first]

    def _shown(self, states: Iterator[Any], name: str, conversation: Any, before: str = "") -> Iterator[Any]:
        waiting = [gr.skip()] * 6
        for state in states:
            if isinstance(state, Progress):
                yield [before + progress_html(state.what, state.done, state.total, state.plans), *waiting]
            elif isinstance(state, SyncReport):
                yield self._all(before + report_html(state), name, conversation)
            else:
                yield self._all(before + failure(str(state)), name, conversation)

    # Coming in

    def add_address(self, address: str, name: str, conversation: Any) -> Iterator[Any]:
        """A web page by its address, or where nobody else reaches the page a folder by its path."""
        address = address.strip()
        if not is_url(address) and not self.desk.alone:
            yield self._all(failure("Type an address such as https://example.org/page."), name, conversation)
        elif address:
            yield from self._shown(syncing(self.desk.kb, address), name, conversation)

    def sync_all(self, name: str, conversation: Any) -> Iterator[Any]:
        """Everything that was synced before."""
        yield from self._shown(syncing(self.desk.kb), name, conversation)

    def sync_uploads(self, name: str, conversation: Any, event: gr.EventData) -> Iterator[Any]:
        """What has come through the page."""
        refused = [line for line in told(event).get("refused", "").splitlines() if line]
        shown = "".join(f"<li>{escape(line)}</li>" for line in refused[:50])
        before = (
            f'<section class="form failed" role="alert"><p>Not taken:</p><ul>{shown}</ul></section>' if refused else ""
        )
        folder = self.desk.uploads.folder
        if folder.is_dir():
            yield from self._shown(syncing(self.desk.kb, str(folder)), name, conversation, before)
        else:
            yield self._all(before, name, conversation)

    def plan(self) -> str:
        """What a sync would do."""
        try:
            return plan_html(self.desk.kb.plan())
        except RagError as error:
            return failure(str(error))

    # What one does with a document, and the search

    def act(self, name: str, conversation: Any, event: gr.EventData) -> Any:
        """Ask only this document, or take it out."""
        data = told(event)
        doc = data.get("name", "")
        if data.get("act") == "only":
            return [gr.skip(), gr.skip(), gr.update(value=[doc]), *[gr.skip()] * 5]
        if data.get("act") != "remove":
            return [gr.skip()] * 8
        try:
            removed = self.desk.uploads.remove(doc)
        except RagError as error:
            return [*self._all(failure(str(error)), name, conversation), gr.skip()]
        news = done(f"{doc} is removed.{_stays(removed)}", undo=removed is not None)
        return [*self._all(news, name, conversation), removed]

    def undo(self, removed: Removed | None, name: str, conversation: Any) -> Any:
        """Bring back what was removed last."""
        try:
            if removed is None:
                raise RagError(f"What was removed is kept for {UNDOABLE // 60} minutes only.")
            self.desk.uploads.undo(removed)
        except RagError as error:
            return [*self._all(failure(str(error)), name, conversation), gr.skip()]
        return [*self._all(done(f"{removed.document.doc} is back."), name, conversation), None]

    def find(self, question: str, *scope: Any) -> str:
        """Passages with their scores."""
        if not question.strip():
            return ""
        try:
            where = chosen(*scope).where()
            return passages_html(self.desk.kb.search(question, k=FOUND, where=where), question)
        except RagError as error:
            return failure(str(error))


def _stays(removed: Removed | None) -> str:
    """What a sync will do about it."""
    if removed is None or removed.file or removed.source.path is None:
        return ""
    if is_url(removed.source.path):
        return " Its page stays where it is, so the next sync of its address brings it back."
    return " Its file stays where it is, so the next sync of its folder brings it back."


def _drop() -> str:
    kinds = ",".join(sorted(READERS))
    return (
        f'<div class="drop" data-most="{uploads.AT_ONCE}"><p>Drop files or a folder here</p><div class="row">'
        f'<label class="button">Choose files<input type="file" multiple accept="{kinds}"></label>'
        '<label class="button">Choose a folder<input type="file" webkitdirectory></label></div>'
        '<p class="status" role="status" aria-live="polite"></p></div>'
    )
