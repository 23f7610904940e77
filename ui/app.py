"""Wires the chat to Gradio, and Gradio to a web application for this machine only. Decides nothing of what is shown.

No annotations from __future__ here: Gradio reads the types of listeners, and `gr` exists only inside `build`.
"""

import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.answer import Rag
from ui.chat import LONGEST_QUESTION, Conversation
from ui.examples import examples
from ui.prose import attributes, escape
from ui.server import Access, guard
from ui.viewer import library, opened

if TYPE_CHECKING:
    from fastapi import FastAPI


def build(kb: Rag, access: Access | None = None, *, uploads: Path | None = None) -> "FastAPI":
    """The whole application over one index. Needs the `ui` extra; starts no server.

    `access` says who reaches it (default: this machine only), `uploads` where files are kept (default: in the index).
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported, which reads it
    import gradio as gr
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guard(app, access or Access())
    plain_fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.mount_gradio_app(  # type: ignore[no-any-return]
        app,
        _blocks(kb),
        path="/",
        theme=gr.themes.Base(**plain_fonts),
        head=f"<style>{_file('style.css')}</style>",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=1,  # nothing is uploaded yet
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
    )


def _blocks(kb: Rag) -> Any:
    import gradio as gr

    asked = {"value": "", "submit_btn": False, "stop_btn": True}
    ready = {"submit_btn": True, "stop_btn": False}

    def ask(question: str, conversation: Conversation) -> Iterator[Any]:
        if not question.strip():
            yield gr.skip()
            return
        # The field and the turns before are sent once, only the new turn again and again.
        rest: Any = None
        for _ in conversation.ask(kb, question.strip()):
            rest = (gr.skip(), gr.skip()) if rest else (gr.update(**asked), conversation.past())
            yield *rest, conversation.live(), gr.skip()
        # Given back once a turn, though changed in place: Gradio forgets only sessions whose state it saw written.
        yield gr.update(**ready), gr.skip(), gr.skip(), conversation

    def ask_example(conversation: Conversation, event: gr.EventData) -> Iterator[Any]:
        yield from ask(str(event.question), conversation)

    def stop(conversation: Conversation) -> Any:
        conversation.stop()
        return gr.update(**ready), conversation.live(), conversation

    def restart() -> Any:
        return gr.update(value="", **ready), "", _welcome(kb), Conversation()

    def show(place: Any) -> str:
        return opened(kb, place)

    show.__name__ = "opened"
    html = {"apply_default_css": False, "js_on_load": None}
    with gr.Blocks(title="Footnote", fill_width=True, analytics_enabled=False) as page:
        conversation = gr.State(Conversation())  # each session works on its own copy
        with gr.Row(elem_id="bar"):
            gr.HTML(_BAR, elem_id="name", **html)
            again = gr.Button("New chat", elem_id="again", size="sm", scale=0)
        with gr.Row(elem_id="rooms"):
            with gr.Column(elem_id="chat"):
                with gr.Column(elem_id="talk"):
                    past = gr.HTML("", elem_id="past", **html)
                    live = gr.HTML(_welcome(kb), elem_id="live", apply_default_css=False, js_on_load=_file("live.js"))
                question = gr.Textbox(
                    placeholder="Ask your documents", show_label=False, label="Question", container=False, lines=1,
                    max_lines=8, max_length=LONGEST_QUESTION, submit_btn=True, stop_btn=False, autofocus=True,
                    elem_id="question",
                )  # fmt: skip
            with gr.Column(elem_id="source"):
                panel = gr.HTML(
                    library(kb.documents()), elem_id="panel", apply_default_css=False,
                    js_on_load=_file("page.js"), server_functions=[show],
                )  # fmt: skip
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        parts = [question, past, live, conversation]
        # A page that is opened later shows what was synced since.
        page.load(lambda: (_welcome(kb), library(kb.documents())), None, [live, panel], queue=False, **quiet)
        # Searching is quick and models wait on others, so four answers at a time; the rest wait in line.
        answering = {"concurrency_id": "answers", "concurrency_limit": 4, **quiet}
        asking = [
            question.submit(ask, [question, conversation], parts, **answering),
            live.select(ask_example, conversation, parts, **answering),
        ]
        question.stop(stop, conversation, [question, live, conversation], cancels=asking, queue=False, **quiet)
        again.click(restart, None, parts, cancels=asking, queue=False, **quiet)
    page.queue(default_concurrency_limit=4, max_size=64, api_open=False)
    return page


_BAR = """\
<h1>Footnote</h1>
<button type="button" class="plain library-button" data-library="">Documents</button>"""


def _welcome(kb: Rag) -> str:
    """What stands in the place of the first answer."""
    documents = kb.documents()
    if not documents:
        return '<section class="welcome"><h2>Nothing to ask yet</h2><p>No document is indexed.</p></section>'
    chip = {"type": "button", "class": "example"}
    chips = "".join(f"<button{attributes({**chip, 'data-question': q})}>{escape(q)}</button>" for q in examples(kb))
    return (
        '<section class="welcome"><h2>Ask your documents</h2>'
        "<p>Every sentence of an answer carries a number that opens the exact words it rests on.</p>"
        f'<div class="examples">{chips}</div></section>'
    )


def _file(name: str) -> str:
    return files("ui").joinpath(name).read_text("utf-8")
