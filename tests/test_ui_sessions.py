"""What the server keeps of open pages: it stays small, and goes once a page was closed for long."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

gr = pytest.importorskip("gradio")

from gradio.state_holder import SessionState, StateHolder  # noqa: E402

from ui.page.sessions import KEPT, Page  # noqa: E402


@pytest.fixture
def page() -> Page:
    with Page() as page:
        part, field = gr.HTML("", elem_id="past"), gr.Textbox(elem_id="question")
        gr.Button().click(lambda _: None, field, [part, field])
    return page


def test_a_session_does_not_grow_with_its_turns(page: Page) -> None:
    state = SessionState(page)
    (listener,) = page.fns.values()
    before = set(state.config_values)
    for turn in range(5):
        for values in ([gr.skip(), gr.update(value="", interactive=False)], [f"turn {turn}", gr.skip()]):
            asyncio.run(page.postprocess_data(listener, values, state))
            asyncio.run(page.preprocess_data(listener, ["Why?"], state))
    assert set(state.config_values) == before
    assert set(state.blocks_config.blocks) == set(page.default_config.blocks)
    shown = {c["props"].get("elem_id"): c["props"].get("value") for c in state.components}
    assert shown["past"] == "turn 4"
    assert shown["question"] == "Why?"


def test_a_page_that_was_closed_long_ago_is_forgotten(page: Page) -> None:
    holder = StateHolder()
    holder.set_blocks(page)
    for name, closed, since in (
        ("open", False, KEPT * 2),
        ("just closed", True, timedelta(minutes=1)),
        ("long closed", True, KEPT * 2),
    ):
        holder[name].is_closed = closed
        holder.time_last_used[name] = datetime.now() - since
    page.sweep()
    assert set(holder.session_data) == set(holder.time_last_used) == {"open", "just closed"}


def test_the_real_page_is_such_a_page(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from rag import Rag
    from ui.desk import Desk
    from ui.page import blocks
    from ui.server import Access

    with Rag(tmp_path / "index") as kb:
        kb.add("The lamp was lit in 1871.", doc="lamp.txt")
        page = blocks(Desk.over(kb, Access(), tmp_path / "uploads", tmp_path / "runs"))
    assert isinstance(page, Page)
    assert any(target[1] == "unload" for listener in page.fns.values() for target in listener.targets)
