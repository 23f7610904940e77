"""PDF bytes to text by page, through pypdfium2. Not OCR: pages without a text layer are counted, not guessed."""

from __future__ import annotations

import re
from itertools import accumulate

from index.errors import DocumentError
from index.readers import Extract, ReadOptions

_PAGE_BREAK = "\n\n"


def read_pdf(data: bytes, options: ReadOptions) -> Extract:
    """Text of all pages joined by a blank line, with each page's span.

    Raises DocumentError for a broken or encrypted file and for one without any text.
    """
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentError("the PDF is encrypted; save a copy without a password") from error
        raise DocumentError(f"broken PDF: {error}") from error
    try:
        texts = [_page_text(pdf, number) for number in range(len(pdf))]
        title = pdf.get_metadata_dict().get("Title", "")
    finally:
        pdf.close()
    empty = sum(not text for text in texts)
    if empty == len(texts):
        raise DocumentError(f"{len(texts)} pages hold no text; run OCR first")
    starts = accumulate((len(text) + len(_PAGE_BREAK) for text in texts), initial=0)
    pages = tuple((start, start + len(text)) for start, text in zip(starts, texts, strict=False))
    meta: dict[str, int] = {"pages": len(texts)}
    if empty:
        meta["pages_without_text"] = empty
    # Titles such as "0001018724-18-000005" or "Microsoft Word - draft" come from tools, not from authors.
    words = re.findall(r"[^\W\d_]{3,}", title)
    return Extract(_PAGE_BREAK.join(texts), pages, title if len(words) > 1 and "Microsoft" not in title else "", meta)


def _page_text(pdf: object, number: int) -> str:
    import pypdfium2

    try:
        page = pdf[number]  # type: ignore[index]
        textpage = page.get_textpage()
        raw: str = textpage.get_text_range(errors="replace")
        textpage.close()
        page.close()
    except pypdfium2.PdfiumError:
        return ""  # one damaged page does not cost the others; it counts as a page without text
    return _tidy(raw)


def _tidy(raw: str) -> str:
    """Undo what layout did to the words: line ends, soft hyphens and words broken over lines, ligatures, odd spaces."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = re.sub(r"[\ufffe\u00ad]\n?", "", text)  # pdfium marks a hyphenated line end with U+FFFE
    text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)
    for ligature, letters in _LIGATURES.items():
        text = text.replace(ligature, letters)
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r" ?\n ?", "\n", text).strip()


_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
