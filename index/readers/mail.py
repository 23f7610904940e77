"""A saved mail (.eml) to its headers and body. Attachments are named, not read; quoted replies stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import parsedate_to_datetime
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.html import codec_of, decode_html, html_blocks
from index.readers.text import decode

# The standard library's header parser takes time that grows with the square of a header.
_LONGEST_HEADER = 4000


class _Bounded(EmailPolicy):
    """The standard policy, with headers cut where no honest one goes on."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_LONGEST_HEADER]


def read_mail(data: bytes, options: ReadOptions) -> Extract:
    """Subject, From, To and Date as lines, then the text, then the names of the attachments.

    Metadata: `author` (From), `to`, `date`, `attachments` (their number). Raises DocumentError for what is no mail.
    """
    _refuse_bomb(data)
    try:
        message = message_from_bytes(data.removeprefix(b"\xef\xbb\xbf"), EmailMessage, policy=_Bounded())
    except RecursionError:
        raise DocumentError(_BOMB) from None
    headers = {name: text for name in ("Subject", "From", "To", "Cc", "Date") if (text := _header(message, name))}
    if not headers:
        raise DocumentError("not a mail: none of Subject, From, To and Date stands at its top")
    bodies, attachments = _contents(message)
    lines = [f"{name}: {text}" for name, text in headers.items()]
    named = [f"Attachment: {name}" for name in attachments]
    meta: dict[str, str | int] = {key: headers[name] for key, name in _META.items() if name in headers}
    if date := _date(headers.get("Date", "")):
        meta["date"] = date
    if attachments:
        meta["attachments"] = len(attachments)
    blocks = ["\n".join(lines), *bodies, "\n".join(named)]
    return Extract("\n\n".join(filter(None, blocks)), title=headers.get("Subject", ""), meta=meta)


_DEEPEST = 30
_BOMB = "not a mail that anybody wrote: too many parts within parts"


def _refuse_bomb(data: bytes) -> None:
    """The standard parser compares every line with every open boundary, and takes a while over each part."""
    boundaries = len(re.findall(rb"boundary", data, re.IGNORECASE))
    if boundaries * data.count(b"\n") > 50_000_000 or data.count(b"\n--") > 100_000:
        raise DocumentError(_BOMB)


_META = {"author": "From", "to": "To"}


def _header(message: Any, name: str) -> str:
    try:
        text = str(message[name] or "")
    except Exception:  # over malformed headers the standard parser raises IndexError, AttributeError, ValueError ...
        text = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return " ".join(text.split())[:1000]


def _date(text: str) -> str:
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _contents(message: Any) -> tuple[list[str], list[str]]:
    """The texts of a mail's body and the names of everything else in it."""
    bodies: list[str] = []
    attachments: list[str] = []
    for part in _leaves(message):
        kind = _kind(part)
        if _attached(part) or kind not in ("text/plain", "text/html"):
            attachments.append(_name(part))
        elif text := _text(part, kind):
            bodies.append(text)
    return bodies, list(filter(None, attachments))


def _leaves(message: Any, depth: int = 0) -> Iterator[Any]:
    """The parts that hold something; of alternatives the plain one if it says anything, else the HTML one."""
    if depth > _DEEPEST:
        raise DocumentError(_BOMB)
    parts = message.get_payload() if message.is_multipart() else None
    if not isinstance(parts, list) or _kind(message).startswith("message/"):
        yield message
        return
    leaves = (leaf for part in parts for leaf in _leaves(part, depth + 1))
    if _kind(message) != "multipart/alternative":
        yield from leaves
        return
    plain: list[Any] = []
    html: list[Any] = []
    rest: list[Any] = []
    for leaf in leaves:
        kind = "" if _attached(leaf) else _kind(leaf)
        (plain if kind == "text/plain" else html if kind == "text/html" else rest).append(leaf)
    yield from plain if any(_text(leaf, "text/plain") for leaf in plain) else html
    yield from rest


def _kind(part: Any) -> str:
    try:
        return str(part.get_content_type())
    except Exception:  # as in _header
        return "application/octet-stream"


def _attached(part: Any) -> bool:
    try:
        return bool(part.get_content_disposition() == "attachment")
    except Exception:  # as in _header
        return True


def _name(part: Any) -> str:
    """The file name of an attachment, the subject of an attached mail, or "" for a picture that only decorates."""
    try:
        name = part.get_filename() or ""
        if not name and _kind(part) == "message/rfc822":
            name = _header(part.get_payload()[0], "Subject")
    except Exception:  # as in _header
        return ""
    return " ".join(str(name).split())[:200]


def _text(part: Any, kind: str) -> str:
    if kind not in ("text/plain", "text/html"):
        return ""
    data = part.get_payload(decode=True) or b""
    charset = codec_of(part.get_content_charset("") or "") if data else ""
    try:
        text = data.decode(charset or "utf-8").replace("\0", "")
    except UnicodeDecodeError:
        text = decode_html(data) if kind == "text/html" else decode(data)
    if kind == "text/html":
        return "\n\n".join(html_blocks(text))
    return re.sub(r"\r\n?", "\n", text).strip()
