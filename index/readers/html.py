"""HTML to the text a person would read, as Markdown. Adverts, navigation, scripts and cookie lines do not become text.

trafilatura says where the article is; what lies between its first and its last block is rendered by `markup`, so that
tables, code, captions and short blocks inside it are not lost to a heuristic.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.markup import markdown, parse, text_length
from index.readers.text import decode


def read_html(data: bytes, options: ReadOptions) -> Extract:
    """The article of a page, else all of its visible text. Raises DocumentError when there is none.

    Metadata: `author`, `date` and `url` as the page declares them, `language` from <html lang>.
    """
    root = parse(decode_html(data))
    if root is None:
        raise DocumentError("holds no text")
    page = _article(root, len(data))
    meta = _metadata(root, page)
    title = (page.title if page is not None else "") or _title(root)
    _prune(root)
    body = root.find("body") if root.tag == "html" else root
    blocks = markdown(root if body is None else body)
    kept = _between(blocks, [] if page is None or page.body is None else page.body.itertext())
    if not kept:
        raise DocumentError("holds no text")
    headlines = [block[2:] for block in kept if block.startswith("# ")]
    return Extract("\n\n".join(kept), title=headlines[0] if len(headlines) == 1 else title, meta=meta)


def html_blocks(markup: str) -> list[str]:
    """The Markdown blocks of a piece of HTML that is all content, such as a chapter or a mail. Raises DocumentError."""
    root = parse(markup)
    return [] if root is None else markdown(root)


def _title(root: Any) -> str:
    """The <title>, else the first big heading, else nothing."""
    found = root.find(".//head/title")
    if found is None or not (found.text or "").strip():
        found = root.find(".//h1")
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


_DECLARED = re.compile(rb"""(?:charset|encoding)\s{0,9}=\s{0,9}["']?([\w.:-]{2,40})""", re.IGNORECASE)
# What pages call an encoding and what browsers read instead: the superset that is really used.
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
          "euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874"}  # fmt: skip


def decode_html(data: bytes) -> str:
    """Bytes to text: UTF-8 where they are that, then what the page declares, then as any text. Raises DocumentError."""
    declared = _DECLARED.search(data[:4096])
    name = codec_of(declared.group(1).decode("ascii", "replace")) if declared else ""
    escaped = name.startswith(("iso2022", "hz"))  # these are valid UTF-8, too, and gibberish
    if name and b"\0" not in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")) and (escaped or not _utf8(data)):
        text = data.decode(name, "replace")
        if text.count("\ufffd") <= len(text) // 100:
            return text
    return decode(data).removeprefix("\ufeff")


def _utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def codec_of(label: str) -> str:
    """The codec that a declared name means in practice, or "" for none that text is written in."""
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):
        return ""
    unfit = ("utf-16", "utf-32", "utf-7", "idna", "punycode", "unicode", "raw", "undefined", "mbcs", "oem")
    if not getattr(found, "_is_text_encoding", True) or found.name.startswith(unfit):
        return ""
    return _MEANT.get(found.name, found.name)


def _article(root: Any, size: int) -> Any:
    """trafilatura's view of the page, or None when it has none. Its heuristics are for articles, not for dumps."""
    if size > _LARGEST_ARTICLE:
        return None
    import trafilatura

    copy = deepcopy(root)
    for cell in copy.iter("td", "th"):  # trafilatura makes as many cells as a span says
        cell.attrib.pop("colspan", None)
        cell.attrib.pop("rowspan", None)
    return trafilatura.bare_extraction(
        copy,
        include_comments=False,
        include_tables=True,
        favor_recall=True,
        with_metadata=True,
        date_extraction_params={"extensive_search": False, "original_date": True},
    )


_LARGEST_ARTICLE = 2_000_000


def _metadata(root: Any, page: Any) -> dict[str, str]:
    meta: dict[str, str] = {}
    for key in ("author", "date", "url"):
        value = getattr(page, key, None)
        if value and (key != "url" or re.match("https?://", value)):
            meta[key] = str(value)[:500]
    language = (root.get("lang") or root.get("xml:lang") or "").strip()
    if re.fullmatch(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,3}", language):
        meta["language"] = language
    return meta


_CLUTTER_TAGS = ("nav", "form", "dialog")
_CLUTTER_ROLES = {"navigation", "search", "dialog", "alertdialog", "menu", "menubar", "contentinfo", "banner"}
# Names that page makers give to what is not the article; whole words of a class or an id.
_CLUTTER_NAME = re.compile(
    r"(?:^|[\s_-])(?:ads?|adverts?|advertisements?|advertorial|sponsor(?:ed)?|promo|share|sharing|social|related|"
    r"recommended|recommendations|newsletter|subscribe|subscription|paywall|cookies?|consent|gdpr|comments?|disqus|"
    r"breadcrumbs?|pagination|pager|also-read|read-more|readmore|editsection|toolbar|popup|modal|skip-?link|outbrain|"
    r"taboola|noprint|navbar|navbox)(?:$|[\s_-])",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"(?:also read|read also|read more|read next|related|more on this(?: story)?|don.t miss|you may also like|"
    r"recommended|watch(?: now)?)\s*[:\u2013\u2014-]?\W*",
    re.IGNORECASE,
)


def _prune(root: Any) -> None:
    """Drop what is not the article, but nothing that holds a large part of the page: names can mislead."""
    page = text_length(root)
    for element in list(root.iter()):
        if isinstance(element.tag, str) and element.getparent() is not None and _is_clutter(element):
            if element.tag in ("html", "body", "main", "article") or text_length(element) > page * 0.4:
                continue
            element.drop_tree()
    for link in list(root.iter("a")):
        if "".join(link.itertext()).strip() in ("¶", "#", "§", "🔗"):
            link.drop_tree()


def _is_clutter(element: Any) -> bool:
    tag = element.tag
    if tag in _CLUTTER_TAGS or element.get("role") in _CLUTTER_ROLES or _hidden(element):
        return True
    if tag in ("header", "footer"):
        return (
            element.find(".//h1") is None and next(element.iterancestors("article", "main", "blockquote"), None) is None
        )
    if tag in ("aside", "ul", "ol") and _linked(element) > 0.8:
        return next(element.iterancestors("article", "main"), None) is None or tag == "aside"
    if tag == "p":
        return _only_points_elsewhere(element)
    names = f"{element.get('class', '')} {element.get('id', '')}"
    return bool(names.strip()) and len(names) < 1000 and _CLUTTER_NAME.search(names) is not None


def _hidden(element: Any) -> bool:
    style = element.get("style") or ""
    return element.get("hidden") is not None or "display:none" in style[:1000].replace(" ", "").lower()


def _only_points_elsewhere(paragraph: Any) -> bool:
    """ "Also read: <a>The mill that burned twice</a>"."""
    if paragraph.find(".//a") is None or _linked(paragraph) < 0.3:
        return False
    own = "".join(paragraph.xpath(".//text()[not(ancestor::a)]"))
    return _ALSO.fullmatch(own.strip()) is not None


def _linked(element: Any) -> float:
    """Share of an element's text that is links."""
    return sum(map(text_length, element.iter("a"))) / max(text_length(element), 1)


def _between(blocks: list[str], article: Iterable[str]) -> list[str]:
    """The blocks from the first to the last that the article shares, with the headline and what stands below it."""
    known = set(_shingles("\n".join(article)))
    shared = [number for number, block in enumerate(blocks) if _share(block, known) > 0.5]
    if not shared:
        return blocks
    first, last = shared[0], shared[-1]
    headlines = [number for number in range(max(0, first - _STANDFIRST), first) if blocks[number].startswith("# ")]
    return blocks[headlines[-1] if headlines else first : last + 1]


# Byline, date, standfirst and a picture's caption stand between a headline and the first paragraph.
_STANDFIRST = 8
_SHINGLE = 5


def _shingles(text: str) -> Iterator[int]:
    """Every five words in a row, as a number."""
    words = [found.group() for found in re.finditer(r"\w+", text.lower())]
    return map(hash, zip(*(words[n:] for n in range(_SHINGLE)), strict=False))


def _share(block: str, known: set[int]) -> float:
    found = [shingle in known for shingle in _shingles(block)]
    return sum(found) / len(found) if found else 0.0
