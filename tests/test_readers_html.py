"""What of a web page becomes text: all of the article, in Markdown, and nothing of what stands around it."""

from __future__ import annotations

import pytest
from broken_files import PROSE

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.html import decode_html, html_blocks, read_html

PAGE = f"""<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>The weir - Valley Gazette</title>
<link rel="canonical" href="https://gazette.example/weir"><meta name="author" content="Mira Holt">
<meta property="article:published_time" content="2024-03-05T10:20:00+01:00"></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/news">All the news</a></li></ul></nav>
<div class="cookie-banner">We use cookies to improve your experience. <button>Accept all</button></div>
<header><h1>How the weir was mended</h1><p>By Mira Holt</p></header>
<article><p>The weir was breached in January 2021 after eleven days of rain. Forty metres of its crest were lost.</p>
<div class="advert">Buy shoes today</div>
<p>Repairs took <a href="/x">nineteen months</a> and cost 10<sup>6</sup> pounds<sup><a href="#n">3</a></sup>.<br>All
lived.</p>
<div class="share-buttons"><a href="#">Share on Facebook</a></div>
<h2>What was done</h2>
<ul><li>Sheet piles<ul><li>driven deep</li></ul></li><li>New stones</li></ul>
<ol start="3"><li>Drain</li><li>Fill</li></ol>
<table><caption>Costs by year</caption><tbody><tr><td rowspan="2">2021</td><td>1</td></tr><tr><td>2</td></tr></tbody>
<thead><tr><th>Year</th><th>Cost</th></tr></thead></table>
<p>Also read: <a href="/y">The mill that burned twice</a></p>
<dl><dt>Scour hole</dt><dd>A pit below a weir.</dd></dl>
<pre><code class="language-python">def flow(h):
    return h</code></pre>
<figure><img src="w.jpg" alt="The weir in flood"><figcaption>The weir in January.</figcaption></figure>
<p><img src="v.jpg" alt="Divers at the crest"></p>
<p>{PROSE}</p></article>
<aside class="related"><h3>Related stories</h3><ul><li><a href="/a">Bridge closes for summer</a></li></ul></aside>
<section id="comments"><h2>Comments</h2><p>Great article, says Bob, who reads this every single day.</p></section>
<footer><p>© 2024 Valley Gazette. All rights reserved.</p></footer></body></html>"""


def read(page: str | bytes) -> Extract:
    return read_html(page.encode() if isinstance(page, str) else page, ReadOptions())


@pytest.mark.parametrize(
    "kept",
    [
        "# How the weir was mended",
        "Repairs took nineteen months and cost 10^6 pounds [3].\nAll lived.",
        "## What was done",
        "- Sheet piles\n  - driven deep\n- New stones",
        "3. Drain\n4. Fill",
        "Costs by year\n\n| Year | Cost |\n| 2021 | 1 |\n| 2021 | 2 |",
        "- Scour hole: A pit below a weir.",
        "```python\ndef flow(h):\n    return h\n```",
        "The weir in January.",
        "[Image: Divers at the crest]",
        PROSE,
    ],
)
def test_nothing_of_the_article_is_lost(kept: str) -> None:
    assert kept in read(PAGE).text


@pytest.mark.parametrize(
    "clutter",
    ["All the news", "cookies", "Accept", "shoes", "Facebook", "mill that burned", "Bridge", "Bob", "reserved"],
)
def test_what_stands_around_it_is_gone(clutter: str) -> None:
    assert clutter not in read(PAGE).text


def test_the_page_says_who_when_where_and_in_which_language() -> None:
    page = read(PAGE)
    assert page.title == "How the weir was mended"
    assert page.meta == {
        "author": "Mira Holt",
        "date": "2024-03-05",
        "url": "https://gazette.example/weir",
        "language": "en-GB",
    }


def test_a_name_that_misleads_does_not_cost_the_page() -> None:
    assert (
        PROSE in read(f"<html><body class='comments'><div id='related' hidden><p>{PROSE}</p></div></body></html>").text
    )


def test_a_layout_table_is_no_table() -> None:
    assert html_blocks(f"<table><tr><td><p>One</p><table><tr><td>a<td>b</table></td><td>{PROSE}</td></tr></table>") == [
        "One",
        "| a | b |",
        PROSE,
    ]


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("iso-8859-1", "cp1252"), ("windows-1251", "cp1251"), ("Shift_JIS", "cp932"), ("iso-2022-jp", "iso2022_jp"),
     ("gb2312", "gb18030"), ("utf-8", "utf-8"), ("no-such", "utf-8"), ("zlib", "utf-8"), ("utf-7", "utf-8")],
)  # fmt: skip
def test_the_declared_encoding_counts(declared: str, codec: str) -> None:
    words = {"cp1251": "Башня", "cp932": "灯台", "iso2022_jp": "灯台", "gb18030": "灯塔"}.get(codec, "Café")
    page = f"<html><head><meta charset='{declared}'></head><body>{words}</body></html>"
    assert words in decode_html(page.encode(codec))


def test_a_declared_encoding_that_the_bytes_contradict_does_not() -> None:
    assert "Café" in decode_html("<meta charset=iso-8859-1>Café".encode())


@pytest.mark.parametrize("page", ["", "<!-- -->", "<script>x()</script>", "<img src=a>"])
def test_a_page_without_text_says_so(page: str) -> None:
    with pytest.raises(DocumentError, match="no text"):
        read(page)


def test_structure_beyond_any_page_is_flattened_then_refused() -> None:
    assert PROSE in read("<div><b>" * 200 + PROSE).text
    with pytest.raises(DocumentError, match="nested"):
        read("<div>" * 5000 + PROSE)


def test_spans_of_a_table_cannot_fill_the_memory() -> None:
    table = "<table><tr>" + "<td rowspan=9999 colspan=9999>text text" * 500 + "<tr>" * 5000
    assert 5000 < len("".join(html_blocks(table))) < 10 * len(table)


def test_text_that_is_astray_in_a_table_is_not_lost() -> None:
    assert html_blocks("<table><tr><form><td>one<td>two</form></tr><td>three</table>") == ["one", "two", "three"]
