"""Plain text, Markdown, reStructuredText: the decoded file itself, so that an offset is an offset into the file."""

from __future__ import annotations

from index.errors import DocumentError
from index.readers import Extract, ReadOptions


def read_text(data: bytes, options: ReadOptions) -> Extract:
    """The file as it is, newlines untouched. Raises DocumentError for binary data."""
    return Extract(decode(data))


def decode(data: bytes) -> str:
    """Bytes to text: a byte order mark decides, then UTF-8, then the likeliest legacy encoding.

    Raises DocumentError for binary data and for bytes that no encoding explains.
    """
    for mark, codec in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
                        (b"\xfe\xff", "utf-16")):  # fmt: skip
        if data.startswith(mark):
            try:
                return data.decode(codec)
            except UnicodeDecodeError as error:
                raise DocumentError(f"starts with a {codec} mark but is not {codec}: {error.reason}") from error
    head = data[:65536]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if b"\0" in head or controls > len(head) // 50:
        raise DocumentError("binary data, expected text")
    try:
        return data.decode("utf-8")  # a UTF-8 byte order mark stays: offsets count code points of the file
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    best = from_bytes(data[:200_000]).best()
    try:
        return data.decode(best.encoding if best else "cp1252")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not text in any known encoding (tried UTF-8 and {error.encoding})") from error
