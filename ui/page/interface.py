"""What programs may call: one question, one answer as JSON, through gradio_client or plain HTTP. Wires only.

client = gradio_client.Client("http://127.0.0.1:7860")     # auth=("name", "password") where people log in
client.predict("Who was the last keeper?", api_name="/ask")
"""

from typing import Any

import gradio as gr

from index.errors import RagError
from ui.chat import LONGEST_QUESTION
from ui.desk import Desk

AT_A_TIME = 4
"""Programs' questions answered at a time: people at the page come first."""


def public(desk: Desk) -> None:
    """The one public endpoint, /ask. It keeps no conversation and takes no settings: those belong to people."""

    def ask(question: str) -> dict[str, Any]:
        """Ask the documents: the answer with its sentences, verdicts, citations and passages, as `rag ask --json`."""
        question = str(question).strip()
        if not question or len(question) > LONGEST_QUESTION:
            raise gr.Error(f"A question has 1 to {LONGEST_QUESTION:,} characters.", print_exception=False)
        try:
            return desk.kb.ask(question).to_dict()
        except RagError as error:
            raise gr.Error(str(error), print_exception=False) from error

    gr.api(ask, api_name="ask", concurrency_id="programs", concurrency_limit=AT_A_TIME)
