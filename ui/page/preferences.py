"""The room of settings: who answers, how much is read, when to abstain, what leaves the machine. Wires only."""

from typing import Any

import gradio as gr

from rag.abstain import THRESHOLD
from rag.display.prose import escape
from ui.desk import Desk
from ui.page.parts import AT_ONCE, QUIET, html
from ui.preferences import FEWEST_TOKENS, MOST_TOKENS, Preferences, leaving, probed


class Settings:
    """The room of one person's settings, which the browser keeps."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        given = desk.kb.settings
        self.least = THRESHOLD if given.min_confidence is None else given.min_confidence
        # Not secret: the browser's own settings, readable again after a restart.
        self.kept = gr.BrowserState({}, storage_key="footnote-settings", secret="footnote")
        with gr.Column(elem_id="settings", elem_classes="room"):
            html("<h2>Settings</h2>", "settings-head")
            with gr.Row(elem_classes="line"):
                self.model = gr.Textbox(
                    given.model, label="Who answers", max_lines=1, max_length=500, scale=4, interactive=desk.alone,
                    info=_FORMS if desk.alone else "Set where the page was started: rag ui --model SPEC",
                    elem_id="model",
                )  # fmt: skip
                self.test = gr.Button("Test", size="sm", scale=0, elem_id="test-model", interactive=desk.alone)
            self.verdict = html("", "tested")
            self.leaves = html(self._leaves(given.model), "leaves")
            self.tokens = gr.Slider(
                FEWEST_TOKENS, MOST_TOKENS, given.tokens, step=100, label="Tokens of passages to read",
                info="More finds more and takes longer; a model's window must hold them.", elem_id="tokens",
            )  # fmt: skip
            self.confidence = gr.Slider(
                0.0, 1.0, self.least, step=0.01, label="Abstain below this confidence", elem_id="confidence",
                info="0 always answers; higher says “not in these documents” more often.",
            )  # fmt: skip
            self.reset = gr.Button("As the page was started", size="sm", elem_id="reset")
            html(_LOOK, "look-choice")
            html(_FEEDBACK, "feedback-export")

    def wire(self, page: gr.Blocks) -> None:
        """Whatever changes is kept at once."""
        fields = [self.model, self.tokens, self.confidence]
        page.load(self.loaded, self.kept, [*fields, self.leaves], **AT_ONCE)
        self.model.change(lambda: "", None, self.verdict, **AT_ONCE)
        for part in fields:
            part.change(self.keep, fields, [self.kept, self.leaves], **AT_ONCE)
        self.test.click(lambda: _WAITING, None, self.verdict, **AT_ONCE).then(
            self.try_model, self.model, self.verdict, concurrency_id="tests", concurrency_limit=2, **QUIET
        )
        self.reset.click(
            lambda: (self.desk.kb.settings.model, self.desk.kb.settings.tokens, self.least), None, fields, **AT_ONCE
        )

    def loaded(self, kept: Any) -> Any:
        """What the browser kept, over what the page was started with."""
        mine, given = Preferences.read(kept), self.desk.kb.settings
        if mine == Preferences():  # the fields show it already, and somebody may be typing
            return [gr.skip()] * 4
        model = (mine.model if self.desk.alone else None) or given.model
        least = self.least if mine.min_confidence is None else mine.min_confidence
        return model, mine.tokens or given.tokens, least, self._leaves(model)

    def keep(self, model: str, tokens: float, least: float) -> Any:
        """What differs from what the page was started with."""
        given = self.desk.kb.settings
        model = model.strip()
        changed = Preferences(
            model if model and model != given.model else None,
            int(tokens) if int(tokens) != given.tokens else None,
            least if least != self.least else None,
        )
        return changed.kept(), self._leaves(model or given.model)

    def try_model(self, model: str) -> str:
        """Whether the model answers, and what is wrong if not."""
        good, words = probed(model.strip() or self.desk.kb.settings.model, self.desk.kb.settings)
        return f'<p class="{"done" if good else "warning"}" role="status">{"✓" if good else "✕"} {escape(words)}</p>'

    def _leaves(self, model: str) -> str:
        words = leaving(model if self.desk.alone else self.desk.kb.settings.model, self.desk.kb.settings)
        pages = (
            "Web addresses that you add are fetched from their servers. This page itself loads nothing from elsewhere."
        )
        return f'<section class="form"><h3>What leaves this machine</h3><p>{escape(words)}</p><p>{pages}</p></section>'


_FORMS = "extract quotes without a model; or ollama:NAME, openai-like:NAME@URL, openai:NAME, anthropic:NAME, hf:FOLDER"
_WAITING = '<p class="status working" role="status">Asking the model …</p>'
_LOOK = (
    '<fieldset class="choice"><legend>Look</legend>'
    + "".join(
        f'<button type="button" class="plain" data-theme="{name}" aria-pressed="false">{words}</button>'
        for name, words in (("", "As the system"), ("light", "Light"), ("dark", "Dark"))
    )
    + "</fieldset>"
)
_FEEDBACK = (
    '<p class="soft">What you said of answers becomes questions of a suite: '
    '<a href="feedback.jsonl" download>download the feedback</a>, then type: '
    "<code>rag eval new SUITE --feedback feedback.jsonl</code></p>"
)
