"""Characters that steer whoever shows a text, or that nobody sees, taken out of it. Knows no terminal and no page.

What a document says is quoted exactly in `Citation.quote`; an answer's text is what people look at, so it is cleaned.
"""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
)
# Controls and halves of characters; what turns the direction of writing, so that a quote reads otherwise than it is;
# what nobody sees.
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"
    r"\u200b\u2028\u2029\u2060-\u2065\ufeff\ufff9-\ufffb"
)
_STEERING = re.compile(rf"[{_HIDDEN}\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    """`text` without control characters (but new lines and tabs), direction overrides and invisible tags.

    It looks at one character at a time, so a text cleaned in pieces is the text cleaned whole.
    """
    return _STEERING.sub("", text)


def printable(text: str) -> str:
    """`visible` text from which terminal escape sequences are gone whole, not only their first character."""
    return visible(_SEQUENCES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """`printable` text on one line: a file's name, say, which must not look like two."""
    return re.sub(r"[\n\t]", " ", printable(text))


def escaped_json(text: str) -> str:
    """JSON in which those characters are written as JSON's own escapes, so that nothing is lost."""
    return _STEERING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
