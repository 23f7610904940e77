"""Words found by their letters and digits alone, whatever stands between them. Knows texts, not what they are of."""

from __future__ import annotations

import unicodedata


def letters(text: str) -> tuple[str, list[int]]:
    """Letters and digits in one case and form, and the index in `text` that each came from."""
    found: list[str] = []
    places: list[int] = []
    for index, char in enumerate(text):
        for plain in unicodedata.normalize("NFKC", char).casefold():
            if plain.isalnum():
                found.append(plain)
                places.append(index)
    return "".join(found), places


def find_words(text: str, words: str) -> tuple[int, int] | None:
    """The first span of `text` with the letters of `words`; None when there is none, or no letter to look for."""
    wanted = letters(words)[0]
    held, places = letters(text)
    at = held.find(wanted) if wanted else -1
    return (places[at], places[at + len(wanted) - 1] + 1) if at >= 0 else None
