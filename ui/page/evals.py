"""The room of evaluations: the report of a run, alone or compared with another. Wires only; see `ui.reports`."""

from typing import Any
from urllib.parse import urlencode

import gradio as gr

from rag.display.prose import attributes, escape
from ui.desk import Desk
from ui.page.parts import AT_ONCE, html
from ui.reports import runs

_ALONE = "(compare with nothing)"


class Evals:
    """The room of reports."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Column(elem_id="evals", elem_classes="room"):
            html("<h2>Evals</h2>", "evals-head")
            with gr.Row(elem_classes="line"):
                self.run = gr.Dropdown([], label="Run", elem_id="run")
                self.base = gr.Dropdown([_ALONE], value=_ALONE, label="Compared with", elem_id="base")
            self.page = html("", "report")

    def wire(self, page: gr.Blocks) -> None:
        """The runs are looked for whenever the page is opened."""
        page.load(self.loaded, None, [self.run, self.base, self.page], **AT_ONCE)
        for part in (self.run, self.base):
            part.focus(self.listed, None, [self.run, self.base], **AT_ONCE)
            part.change(self.shown, [self.run, self.base], self.page, **AT_ONCE)

    def listed(self) -> Any:
        """The choices as they are on disk."""
        found = runs(self.desk.runs)
        return gr.update(choices=found), gr.update(choices=[_ALONE, *found])

    def loaded(self) -> Any:
        """The choices, and words where there is nothing to choose."""
        nothing = (
            '<p class="soft">Choose a run: its scores, what became of each question, what another run did better.</p>'
            if runs(self.desk.runs)
            else f'<p class="soft">There are no runs in {escape(self.desk.runs)}. In a terminal: rag eval run SUITE</p>'
        )
        return *self.listed(), nothing

    def shown(self, run: str | None, base: str | None) -> str:
        """The report in a frame of its own, which can reach nothing of this page."""
        if not run:
            return ""
        query = {"run": run} | ({"base": base} if base and base not in (_ALONE, run) else {})
        frame = {"src": f"report?{urlencode(query)}", "title": f"Report of {run}", "sandbox": "allow-scripts"}
        return f"<iframe{attributes(frame)}></iframe>"
