"""That everybody can use the page: axe-core finds nothing serious, keyboard alone suffices, phones and zoom fit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser import Site, ask, opened, until

pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed: pip install --group dev")

pytestmark = pytest.mark.filterwarnings("ignore:::gradio.queueing")

KEEPER = "Who was the last principal keeper of Skarn Head?"
NIGHTS = "How many clear nights were there at the observatory in 2023?"
SIREN = "In which year was the fog siren at Skarn Head silenced?"
MONGOLIA = "What is the capital of Mongolia?"

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
# A reader who set the zoom to 200 % has half of the pixels each way.
ZOOMED = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}


def serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical on the page as it is now."""
    from axe_playwright_python.sync_playwright import Axe

    # Gradio fades in and out; a colour half way is not one that anybody reads.
    page.add_style_tag(content="*, *::before, *::after { animation: none !important; transition: none !important; }")
    page.wait_for_timeout(300)
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def overflow(page: Any) -> int:
    """Pixels that the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def views(page: Any) -> Any:
    """Every view of the page, one after the other, by name."""
    yield "welcome"
    ask(page, KEEPER)
    yield "answer"
    for details in page.locator(".turn details.steps summary").all():
        details.click()
    yield "answer unfolded"
    page.locator(".turn a.cite").first.click()
    page.locator("#panel mark").first.wait_for()
    yield "source"
    close(page)
    ask(page, NIGHTS)
    page.locator(".turn").last.locator('a.cite[data-doc$=".pdf"]').first.click()
    page.wait_for_function("() => document.querySelector('#panel .sheet img')?.naturalWidth > 500")
    yield "page of a PDF"
    close(page)
    ask(page, SIREN)
    yield "disagreement"
    ask(page, MONGOLIA)
    yield "abstention"
    page.locator(".turn").last.locator("details.menu summary").click()
    yield "menu"
    page.keyboard.press("Escape")
    page.locator("#scope-name button").click()
    yield "scope"
    page.locator("#scope-name button").click()
    for name in ("library", "evals", "settings"):
        page.click(f"nav [data-view={name}]")
        page.locator(f"#{name} h2").first.wait_for()
        yield name


def close(page: Any) -> None:
    page.keyboard.press("Escape")


def test_axe_would_find_a_fault(page: Any) -> None:
    page.evaluate("document.querySelector('#talk').insertAdjacentHTML('beforeend', '<button></button>')")
    assert any(problem.startswith("button-name (critical)") for problem in serious(page))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_axe_finds_nothing_serious_in_any_view(chromium: Any, site: Site, theme: str, screen: str) -> None:
    with opened(chromium, site, color_scheme=theme, **(PHONE if screen == "phone" else DESK)) as page:
        found = {name: problems for name in views(page) if (problems := serious(page))}
        assert found == {}


@pytest.mark.parametrize("screen", [PHONE, ZOOMED], ids=["phone", "zoomed"])
def test_no_view_is_wider_than_a_narrow_window(chromium: Any, site: Site, screen: dict[str, Any]) -> None:
    with opened(chromium, site, **screen) as page:
        wide = {name: pixels for name in views(page) if (pixels := overflow(page)) > 0}
        assert wide == {}


def test_on_a_phone_the_source_covers_the_chat_and_closes_again(chromium: Any, site: Site) -> None:
    with opened(chromium, site, **PHONE) as page:
        turn = ask(page, KEEPER)
        link = turn.locator(".answer > p a.cite, .answer a.cite").first
        link.tap()
        mark = page.locator("#panel mark").first
        mark.wait_for()
        until(mark.is_visible)
        box = page.locator("#panel .paper").bounding_box()
        assert box["width"] > 300
        page.locator("[data-close]").first.tap()
        until(lambda: not mark.is_visible())
        assert turn.is_visible()
        page.tap("#menu")
        page.locator("#talks .talk", has_text=KEEPER).first.wait_for()


def test_the_keyboard_alone_asks_opens_and_closes(chromium: Any, site: Site) -> None:
    with opened(chromium, site, **DESK) as page:
        focus = "document.activeElement"
        assert page.evaluate(f"{focus}.closest('#question') !== null")
        page.keyboard.type(KEEPER)
        page.keyboard.press("Enter")
        page.locator(".turn .tools").wait_for()
        for _ in range(60):
            if page.evaluate(f"{focus}.matches('.turn a.cite')"):
                break
            page.keyboard.press("Shift+Tab")
        assert page.evaluate(f"{focus}.matches('.turn a.cite')")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        words = page.evaluate(f"{focus}.getAttribute('aria-label')")
        assert re.match(r"Source \d+: ", words)
        page.keyboard.press("Enter")
        page.locator("#panel mark").first.wait_for()
        until(lambda: page.evaluate(f"{focus}.matches('.paper')"))
        page.keyboard.press("Escape")
        until(lambda: page.evaluate(f"{focus}.matches('.turn a.cite')"))


def test_the_list_of_documents_is_one_stop_of_tab(chromium: Any, site: Site) -> None:
    with opened(chromium, site, **DESK) as page:
        page.click("nav [data-view=library]")
        page.locator("#documents .holdings").wait_for()
        row = "document.activeElement.closest('.holdings tbody tr')"
        focus = "document.activeElement"

        def press(*keys: str) -> tuple[int, int]:
            """Where the focus is then: row and column, from 0; (-1, -1) outside of the list."""
            for key in keys:
                page.keyboard.press(key)
            at = page.evaluate(f"{row} && [{row}.sectionRowIndex, {focus}.closest('th, td').cellIndex]")
            return tuple(at) if at else (-1, -1)

        page.click("#name-search input, #name-search textarea")
        assert press("Tab") == (0, 0)
        assert press("ArrowUp") == (0, 0)
        assert press("ArrowDown", "ArrowDown", "ArrowRight") == (2, 1)
        page.locator(".card:not([hidden])", has_text="Indexed, and the file is as it was.").wait_for()
        assert press("End") == (2, 5)
        assert page.evaluate(f"{focus}.getAttribute('aria-label')").startswith("More for ")
        page.keyboard.press("Enter")
        page.locator(".holdings details[open]").wait_for()
        page.keyboard.press("ArrowDown")
        assert page.evaluate(f"{focus}.innerText") == "Ask only this one"
        page.keyboard.press("Escape")
        assert press("Shift+Tab") == (-1, -1)
        assert press("Tab") == (2, 5)
        assert press("Tab") == (-1, -1)
        assert press("Shift+Tab", "Control+End") == (len(site.kb.documents()) - 1, 5)
        assert press("Control+Home") == (0, 0)
        page.keyboard.press("Enter")
        page.locator("#panel [data-shown]").wait_for(state="attached")
        stops = page.locator('.holdings tbody :is([tabindex="0"], :not([tabindex]):is(.doc, summary))')
        assert stops.count() == 1
        page.fill("#name-search input, #name-search textarea", "perseid")
        page.wait_for_function("document.querySelectorAll('.holdings tbody tr').length === 1")
        until(lambda: stops.count() == 1)


def test_a_reader_of_the_screen_hears_verdicts_and_states(chromium: Any, site: Site) -> None:
    with opened(chromium, site, **DESK) as page:
        turn = ask(page, KEEPER)
        verdict = turn.locator(".verdict").first
        assert verdict.get_attribute("role") == "img"
        assert "Supported" in verdict.get_attribute("aria-label")
        assert turn.locator(".answer").get_attribute("aria-busy") == "false"
        assert page.locator("#question textarea").evaluate("e => e.labels?.length || e.getAttribute('aria-label')")
        names = page.locator("button:visible").evaluate_all(
            "all => all.filter(b => !(b.innerText.trim() || b.getAttribute('aria-label') || b.title))"
            ".map(b => b.outerHTML)"
        )
        assert names == []
