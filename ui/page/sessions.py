"""What the server keeps of each open page, held small: the one place that knows Gradio's own bookkeeping."""

from datetime import datetime, timedelta
from typing import Any

import gradio as gr

KEPT = timedelta(hours=1)
"""How long a page that was closed may come back to its state: as long as Gradio keeps a closed page's values."""

MOST = 2000
"""Pages whose state is kept at a time; the one that was used longest ago goes first."""


class Page(gr.Blocks):  # type: ignore[misc]  # Gradio is untyped here
    """`gr.Blocks` whose sessions do not grow with what is done in them, and go some time after their page was closed.

    Gradio 6.31 files a component that an update (`gr.update`, `gr.skip`) made anew under its old id, but leaves it a
    new one, under which the next value is filed once more: each turn would leave a few components and the whole talk.
    It drops the values of closed pages, and never the rest of their sessions.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.state_session_capacity = MOST

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """As Gradio's; the components of the session then bear the ids under which they are filed."""
        shown: list[Any] = await super().postprocess_data(block_fn, predictions, state)
        if state is not None:
            blocks = state.blocks_config.blocks
            for output in block_fn.outputs:
                if output._id in blocks:
                    blocks[output._id]._id = output._id
        return shown

    def sweep(self) -> None:
        """Let go of pages that were closed a while ago. A listener of `unload`."""
        holder = self.state_holder
        past = datetime.now() - KEPT
        with holder.lock:
            old = [
                name
                for name, session in holder.session_data.items()
                if session.is_closed and holder.time_last_used.get(name, past) <= past
            ]
            for name in old:
                del holder.session_data[name]
                holder.time_last_used.pop(name, None)
