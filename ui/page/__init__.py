"""The page in Gradio: five rooms beside each other, and the wires between them. Decides nothing of what is shown.

Imported by `ui.app.build` alone, since its modules import Gradio. None has annotations from __future__: Gradio reads
the types of listeners.
"""

import gradio as gr

from ui.desk import Desk
from ui.page.chat import PEOPLE, Chat
from ui.page.evals import Evals
from ui.page.interface import public
from ui.page.library import Library
from ui.page.parts import html, script
from ui.page.preferences import Settings
from ui.page.sessions import Page
from ui.page.source import Source
from ui.page.talks import Talks


def blocks(desk: Desk) -> gr.Blocks:
    """The whole page over one desk."""
    with Page(title="Footnote", fill_width=True, analytics_enabled=False) as page:
        public(desk)  # first: the name that it asks for is still free
        html(_BAR if desk.alone else _BAR + _LOG_OUT, "bar", script("bar.js"))
        with gr.Row(elem_id="rooms"):
            talks = Talks(desk)
            with gr.Column(elem_id="main"):
                chat = Chat(desk)
                library = Library(desk)
                evals = Evals(desk)
                settings = Settings(desk)
            source = Source(desk)
        html("", "card", script("card.js"))
        chat.wire(talks, settings, source)
        talks.wire(page, chat)
        library.wire(page, chat, source)
        evals.wire(page)
        settings.wire(page)
        source.wire(chat)
        page.unload(page.sweep)
    page.queue(default_concurrency_limit=8, max_size=PEOPLE, api_open=False)
    return page


_VIEWS = (("chat", "Chat"), ("library", "Library"), ("evals", "Evals"), ("settings", "Settings"))
_BAR = (
    '<a class="skip" href="#question">Skip to the question</a>'
    '<button type="button" class="plain" id="menu" data-side="" aria-label="Conversations" aria-expanded="false">'
    "☰</button>"
    '<h1>Footnote</h1><nav aria-label="Views">'
    + "".join(f'<a href="#{name}" data-view="{name}">{words}</a>' for name, words in _VIEWS)
    + '</nav><button type="button" class="plain library-button" data-library="">Documents</button>'
)
# A form, not a script: the server answers with the log-in page.
_LOG_OUT = '<form method="post" action="logout"><button class="plain">Log out</button></form>'
