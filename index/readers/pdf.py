"""PDF bytes to text by page, through pypdfium2. Not OCR: pages without a text layer are counted, not guessed."""

from __future__ import annotations

import re
import unicodedata
from contextlib import closing
from datetime import date
from itertools import accumulate
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.hyphens import undo_hyphens
from index.readers.page_layout import page_lines
from index.readers.page_ruler import Line
from index.readers.running_lines import running_lines

_PAGE_BREAK = "\n\n"
_NOBODY = {"anonymous", "unknown", "author", "user", "owner", "admin", "administrator", "root"}


def read_pdf(data: bytes, options: ReadOptions) -> Extract:
    """Text of all pages joined by a blank line, with each page's span; a row is a line, columns follow each other.

    Running headers, footers and page numbers are left out. Metadata: `pages`, `pages_without_text` where there are any,
    `author`, `date` of creation. Raises DocumentError for a file that is broken, that the password does not open, or
    that holds no text.
    """
    with closing(_opened(data, options.password)) as pdf:
        pages = [_lines(pdf, number) for number in range(len(pdf))]
        title, facts = _facts(pdf)
    while pages and pages[-1] is None:
        pages.pop()  # files may claim more pages than they have
    if not pages:
        raise DocumentError("broken PDF: none of its pages can be read")
    lines = [page or [] for page in pages]
    texts = undo_hyphens(
        [
            _tidy("\n".join(line.text for at, line in enumerate(page) if at not in running))
            for page, running in zip(lines, running_lines(lines), strict=True)
        ]
    )
    empty = sum(not text for text in texts)
    if empty == len(texts):
        count = f"{empty} pages hold" if empty > 1 else "the page holds"
        raise DocumentError(f"{count} no text; run OCR (for example ocrmypdf) and sync again")
    starts = accumulate((len(text) + len(_PAGE_BREAK) for text in texts), initial=0)
    spans = tuple((start, start + len(text)) for start, text in zip(starts, texts, strict=False))
    missing = {"pages_without_text": empty} if empty else {}
    return Extract(_PAGE_BREAK.join(texts), spans, title, {"pages": len(texts), **missing, **facts})


def _opened(data: bytes, password: str | None) -> Any:
    import pypdfium2
    import pypdfium2.raw as pdfium

    # First without: files that only restrict printing open so, and not with a password that is another file's.
    for tried in (None, password):
        try:
            return pypdfium2.PdfDocument(data, password=tried)
        except pypdfium2.PdfiumError as error:
            if error.err_code == pdfium.FPDF_ERR_SECURITY:
                raise DocumentError(
                    "the PDF is encrypted in a way that is not known here; save a plain copy"
                ) from error
            if error.err_code != pdfium.FPDF_ERR_PASSWORD:
                raise DocumentError(f"broken PDF: {error}") from error
    if password:
        raise DocumentError("the PDF is encrypted: the password that is set does not open it")
    raise DocumentError("the PDF is encrypted; set pdf_password (or the environment variable RAG_PDF_PASSWORD)")


def _lines(pdf: Any, number: int) -> list[Line] | None:
    """The lines of a page; None for one that is not there. A damaged page does not cost the others: it has no text."""
    import pypdfium2

    try:
        page = pdf[number]
    except pypdfium2.PdfiumError:
        return None
    try:
        with closing(page), closing(page.get_textpage()) as textpage:
            return page_lines(textpage)
    except (pypdfium2.PdfiumError, RecursionError):  # pypdfium2 recurses over characters without a code
        return []


def _facts(pdf: Any) -> tuple[str, dict[str, str]]:
    """Title, and author and date as far as they look like what they should be."""

    def value(key: str) -> str:
        try:
            text: str = pdf.get_metadata_value(key)
        except UnicodeError:
            return ""
        return " ".join(re.sub("[\0-\x1f\ud800-\udfff]", " ", text).split())

    title, author = value("Title"), value("Author")
    # Titles such as "0001018724-18-000005" or "Microsoft Word - draft" come from tools, not from authors.
    words = re.findall(r"[^\W\d_]{3,}", title)
    facts = {"date": _iso_date(value("CreationDate")) or _iso_date(value("ModDate"))}
    if author.casefold() not in _NOBODY:
        facts["author"] = author[:200]
    kept = {name: fact for name, fact in facts.items() if fact}
    return title if len(words) > 1 and "Microsoft" not in title else "", kept


def _iso_date(text: str) -> str:
    """`D:20230117185754Z` -> `2023-01-17`, `D:2023` -> `2023`; nothing for what is no date."""
    found = re.match(r"(?:D:)?([12]\d{3})(?:(\d\d)(\d\d)?)?", text)
    if not found:
        return ""
    parts = [part for part in found.groups() if part]
    try:
        date(*map(int, [*parts, "1", "1"][:3]))
    except ValueError:
        return ""
    return "-".join(parts)


def _tidy(text: str) -> str:
    """Letters in place of their presentation forms, plain spaces, and nothing that is not seen."""
    if re.search("[\ud800-\udfff]", text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = re.sub("[\0-\x08\x0e-\x1b\x7f\u200b\u2060\ufeff]|\u00ad\n?", "", text)
    text = re.sub("[\ufb00-\ufdff\ufe70-\ufefc]+", lambda forms: unicodedata.normalize("NFKC", forms[0]), text)
    text = re.sub(" {2,}", " ", re.sub(r"[^\S\n ]", " ", text))
    return re.sub(r" ?\n[ \n]*", "\n", text).strip()
