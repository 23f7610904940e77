"""EPUB bytes to the book's text in reading order, each chapter as Markdown. Not its pictures, styles or navigation."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.archive import open_zip
from index.readers.html import decode_html
from index.readers.markup import markdown, parse


def read_epub(data: bytes, options: ReadOptions) -> Extract:
    """All chapters of the spine. A chapter without a heading gets the one that the table of contents has for it.

    Metadata: `author`, `date`, `language`, `chapters`, and `chapters_unreadable` when some are damaged or missing.
    Raises DocumentError for what is no EPUB, is protected, or holds no text.
    """
    archive = open_zip(data, ".epub")
    package = _package(archive)
    _refuse_protected(archive, set(package.chapters))
    labels = _labels(archive, package)
    blocks: list[str] = []
    lost = 0
    for path in package.chapters:
        markup = _member(archive, path)
        if markup is None:
            lost += 1
            continue
        chapter = _chapter(markup)
        if chapter and path in labels and not any(block.startswith("#") for block in chapter):
            chapter.insert(0, f"# {labels[path]}")
        blocks += chapter
    if not blocks:
        raise DocumentError(f"holds no text in {len(package.chapters)} chapters, {lost} of them unreadable")
    meta: dict[str, str | int] = {**package.meta, "chapters": len(package.chapters)}
    if lost:
        meta["chapters_unreadable"] = lost
    return Extract("\n\n".join(blocks), title=package.title, meta=meta)


@dataclass(frozen=True, slots=True)
class _Package:
    """The paths of the chapters in reading order, of the tables of contents, and what the book says of itself."""

    chapters: tuple[str, ...]
    contents: tuple[str, ...]
    title: str
    meta: Mapping[str, str]


def _package(archive: zipfile.ZipFile) -> _Package:
    container = _xml(archive, "META-INF/container.xml")
    found = [] if container is None else container.xpath("//*[local-name()='rootfile']/@full-path")
    root = _xml(archive, str(found[0])) if found else None
    if root is None:
        raise DocumentError("broken .epub file: no META-INF/container.xml that names a readable package")
    items: dict[str, tuple[str, str, str]] = {}
    for item in root.xpath("//*[local-name()='manifest']/*[local-name()='item']"):
        path = _path(str(found[0]), item.get("href") or "")
        items[item.get("id") or ""] = (path, item.get("media-type") or "", item.get("properties") or "")
    spine = [items.get(ref) for ref in root.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")]
    chapters = [path for path, kind, role in filter(None, spine) if "html" in kind and "nav" not in role.split()]
    contents = [path for path, kind, role in items.values() if "nav" in role.split() or "ncx" in kind]
    return _Package(tuple(dict.fromkeys(chapters)), tuple(contents), _first(root, "title"), _metadata(root))


def _metadata(root: Any) -> dict[str, str]:
    meta: dict[str, str] = {}
    if authors := ", ".join(_all(root, "creator")):
        meta["author"] = authors[:500]
    dates = (
        re.match(r"[12]\d{3}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?", date) for date in _all(root, "date")
    )
    if date := next(filter(None, dates), None):
        meta["date"] = date.group()
    language = _first(root, "language")
    if re.fullmatch(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,3}", language):
        meta["language"] = language
    return meta


def _all(root: Any, name: str) -> list[str]:
    """The texts of the Dublin Core elements of that name."""
    found = root.xpath("//*[local-name()='metadata']//*[local-name()=$name]", name=name)
    return [text for element in found if (text := " ".join("".join(element.itertext()).split()))]


def _first(root: Any, name: str) -> str:
    return next(iter(_all(root, name)), "")


def _labels(archive: zipfile.ZipFile, package: _Package) -> dict[str, str]:
    """What the table of contents calls each chapter."""
    out: dict[str, str] = {}
    for path in package.contents:
        root = _xml(archive, path)
        for point in [] if root is None else root.xpath("//*[local-name()='navPoint'] | //*[local-name()='a'][@href]"):
            target = point.get("href") or next(iter(point.xpath("./*[local-name()='content']/@src")), "")
            label = point if point.get("href") else next(iter(point.xpath("./*[local-name()='navLabel']")), None)
            text = "" if label is None else " ".join("".join(label.itertext()).split())
            if text:
                out.setdefault(_path(path, str(target)), text[:200])
    return out


def _chapter(markup: bytes) -> list[str]:
    # Elements that XHTML closes in place would swallow the rest of the page where HTML is expected.
    text = _CLOSED.sub(r"<\1\2></\1>", decode_html(markup))
    root = parse(text)
    if root is None:
        return []
    for contents in list(root.iter("nav")):
        contents.drop_tree()
    body = root.find("body")
    blocks = markdown(root if body is None else body)
    pictures = all(re.fullmatch(r"\[Image: .*\]", block) for block in blocks)
    return [] if pictures else blocks


_CLOSED = re.compile(r"<(title|script|style|iframe|textarea|a|b|i|em|span|div|p|td|th|li|h[1-6])((?:\s[^<>]*)?)/>")


def _refuse_protected(archive: zipfile.ZipFile, chapters: set[str]) -> None:
    """Fonts may be scrambled in a free book; encrypted chapters mean digital rights management."""
    root = _xml(archive, "META-INF/encryption.xml")
    locked = [] if root is None else root.xpath("//*[local-name()='CipherReference']/@URI")
    if chapters & {posixpath.normpath(unquote(str(uri))) for uri in locked}:
        raise DocumentError("the book is protected (DRM); only unprotected EPUB files can be read")


def _xml(archive: zipfile.ZipFile, path: str) -> Any:
    """The root of an XML member; entities are not expanded, nothing is fetched. None when it cannot be parsed."""
    from lxml import etree

    data = _member(archive, path)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        return None if data is None else etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _member(archive: zipfile.ZipFile, path: str) -> bytes | None:
    """The bytes of a member, None when it is missing or damaged: one chapter does not cost the others."""
    try:
        return archive.read(path)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        return None


def _path(base: str, href: str) -> str:
    """Where a link in the member `base` leads, without its fragment."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(href.partition("#")[0])))
