"""Sentences with the texts they cite, true and corrupted, made from documents and their gold. Judges nothing.

True claims are never the cited sentence itself: a verbatim sentence is supported by construction. What counts as a
name, a number or a date here is told by patterns of this file, not by the code that is measured.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from evals.suite import Suite
from index.documents import Document
from index.sentences import sentences


@dataclass(frozen=True)
class Pair:
    """A claim with the texts it cites. `way`: how the true claim was made; `fault`: what was done to it, "" if true."""

    claim: str
    cited: tuple[str, ...]
    doc: str
    way: str
    fault: str = ""


_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = rf"(?:{'|'.join(_MONTHS)})"
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
_DATE = re.compile(
    rf"\b(?:\d{{1,2}} {_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,2}}(?:, \d{{4}})?|{_MONTH} \d{{4}}|(?:1\d|20)\d\d)\b(?![%,.]\d)"  # noqa: E501
)
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?![\w-])")
_WORD = re.compile(rf"\b(?:{'|'.join(_ONES[2:13])})\b(?!-| (?:third|quarter|fifth)s)", re.IGNORECASE)
_NAME = re.compile(r"(?<=[a-z,;(] )[A-Z][\w'’-]*[a-z](?: (?:of |de |van |von )?[A-Z][\w'’-]*[a-z])*")
_HELPER = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|has been|have been|had been|did|does|do)\b(?! not|n't)"
)
_DENIED = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|did|does|do|has|have|had)( not|n[’']t)\b|\bcannot\b"
)
_SHORT = {"did not": "didn't", "does not": "doesn't", "do not": "don't", "is not": "isn't", "are not": "aren't",
          "was not": "wasn't", "were not": "weren't", "cannot": "can't", "could not": "couldn't",
          "would not": "wouldn't", "has not": "hasn't", "have not": "haven't", "had not": "hadn't", "will not": "won't", "it is": "it's",  # noqa: E501
          "It is": "It's", "there is": "there's", "There is": "There's"}  # fmt: skip
# Words that can stand for each other in almost any sentence.
_ALIKE = [("began", "started"), ("large", "big"), ("many", "numerous"), ("also", "likewise"), ("often", "frequently"),
          ("usually", "normally"), ("however", "yet"), ("because", "since"), ("while", "whereas"), ("although", "though"),  # noqa: E501
          ("such as", "like"), ("known as", "called"), ("located", "situated"), ("built", "constructed"),
          ("used", "employed"), ("important", "significant"), ("about", "roughly"), ("approximately", "about"), ("near", "close to"),  # noqa: E501
          ("received", "got"), ("children", "kids"), ("several", "a number of"), ("during", "in the course of"),
          ("allowed", "permitted"), ("showed", "demonstrated"), ("people", "persons"), ("almost", "nearly")]  # fmt: skip  # noqa: E501
_FRONT = re.compile(
    r"^((?:In|On|At|By|During|After|Before|Since|Until|From|For|With|As|When|While|Although|Because)\b[^,]{3,60}), (?=\w)"  # noqa: E501
)
_TAIL = re.compile(
    r"^(.{40,}?), (?:which|who|where|including|such as|as well as|making|while|although|but|and)\b[^.]*\.$"
)
_LAST = re.compile(
    r"^([A-Z].{25,}) ((?:in|on|by|since|during) (?:[A-Z]\w+ )?(?:\d{1,2}(?:, |\s))?(?:\d{4}|" + _MONTH + r"))\.$"
)


def true_pairs(documents: Sequence[Document], suites: Sequence[Suite]) -> list[Pair]:
    """Every honest claim that these documents give, in the order of the documents."""
    pairs = []
    for document in documents:
        pairs += _rewritten(document)
    held = {document.doc: document for document in documents}
    for suite in suites:
        pairs += [pair for case in suite.cases if (pair := _answered(case, held)) is not None]
    return pairs


def corrupted(pairs: Sequence[Pair], documents: Sequence[Document], seed: int = 7) -> list[Pair]:
    """Each true claim made false in every way that applies to it; the cited texts stay, but for `moved`."""
    dice = random.Random(seed)
    names = {d.doc: sorted({found[0] for found in _NAME.finditer(d.text)}) for d in documents}
    runs = {d.doc: [d.text[a:b] for a, b in sentences(d.text) if b - a > 30] for d in documents}
    out = []
    for pair in pairs:
        said = "\n".join(pair.cited)
        changes: list[tuple[str, str | None]] = [
            ("number", _replaced(pair.claim, dice, _other_number)),
            ("date", _replaced(pair.claim, dice, _other_date, _DATE)),
            ("name", _other_name(pair.claim, names[pair.doc], said, dice)),
            ("negation", _denied(pair.claim)),
        ]
        out += [Pair(claim, pair.cited, pair.doc, pair.way, fault) for fault, claim in changes if claim]
        for moved in _neighbours(pair.cited, runs[pair.doc]):
            out.append(Pair(pair.claim, (moved,), pair.doc, pair.way, "moved"))
    return out


# True claims


def _rewritten(document: Document) -> Iterator[Pair]:
    spans = [(a, b) for a, b in sentences(document.text) if 50 <= b - a <= 320]
    texts = [" ".join(document.text[a:b].split()) for a, b in spans]
    for number, (text, (start, end)) in enumerate(zip(texts, spans, strict=True)):
        if not re.fullmatch(r"[A-Z\"“].*[.!?][\"”]?", text):
            continue
        cited = (document.text[start:end],)
        ways: list[tuple[str, Callable[[str], str | None]]] = [
            ("clause dropped", _shortened), ("turned round", _turned), ("other words", _reworded),
            ("other format", _reformatted), ("contracted", _contracted),
        ]  # fmt: skip
        for way, change in ways:
            claim = change(text)
            if claim and claim != text:
                yield Pair(claim, cited, document.doc, way)
        after = texts[number + 1] if number + 1 < len(texts) else ""
        if after and spans[number + 1][0] - end < 3 and re.match(r"(?:The|It|He|She|They|This|These|In)\b", after):
            both = f"{text[:-1]}, and {after[0].lower()}{after[1:]}"
            yield Pair(both, (*cited, document.text[slice(*spans[number + 1])]), document.doc, "merged")


def _shortened(text: str) -> str | None:
    bare = re.sub(r" \([^()]*\)", "", text)
    tail = _TAIL.match(bare)
    if tail:
        return f"{tail[1]}."
    front = _FRONT.match(bare)
    if front and not front[1].startswith(("Although", "With")):
        rest = bare[front.end() :]
        return rest[0].upper() + rest[1:]
    return bare if bare != text else None


def _turned(text: str) -> str | None:
    last = _LAST.match(text)
    if last:
        first = last[1][0].lower() if text.startswith(("The ", "A ", "It ")) else last[1][0]
        return f"{last[2][0].upper()}{last[2][1:]}, {first}{last[1][1:]}."
    front = _FRONT.match(text)
    if front and front[1].startswith(("In", "On", "During", "By", "Since")):
        rest = text[front.end() :]
        return f"{rest[0].upper()}{rest[1:-1]} {front[1][0].lower()}{front[1][1:]}."
    return None


def _reworded(text: str) -> str | None:
    new = text
    for one, two in _ALIKE:
        new = re.sub(rf"\b{one}\b", two, new, count=1)
    return new


def _reformatted(text: str) -> str | None:
    new = re.sub(rf"\b(\d{{1,2}}) ({_MONTH}) (\d{{4}})\b", r"\2 \1, \3", text)
    if new == text:
        new = re.sub(rf"\b({_MONTH}) (\d{{1,2}}), (\d{{4}})\b", lambda m: f"{m[2]} {m[1][:3]}. {m[3]}", text)
    new = re.sub(r"\b(\d+(?:\.\d+)?) million\b", lambda m: f"{float(m[1]) * 1e6:,.0f}", new)
    new = re.sub(r"\b(\d+(?:\.\d+)?) billion\b", lambda m: f"{float(m[1]) * 1e3:,.0f} million", new)
    new = re.sub(r"(\d)%", r"\1 percent", new)
    new = re.sub(
        r"(?<![\w.,/-])([2-9]|1[0-2])(?= [a-z])(?! (?:million|billion|percent))", lambda m: _ONES[int(m[1])], new
    )
    if new == text:
        new = _WORD.sub(lambda m: str(_ONES.index(m[0].lower())), text, count=1)
    if new == text:
        new = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return new


def _contracted(text: str) -> str | None:
    for long, short in _SHORT.items():
        text = re.sub(rf"\b{long}\b", short, text)
    return text


def _answered(case: object, documents: dict[str, Document]) -> Pair | None:
    """The question and its gold answer as a statement; it cites the sentence of the gold and, where a name or number of
    the question stands before it, up to two sentences more. Left out where those do not hold it."""
    answers, evidence, question = case.answers, case.evidence, case.question  # type: ignore[attr-defined]
    if not answers or not evidence or evidence[0].start is None or evidence[0].doc not in documents:
        return None
    claim = statement(question, answers[0])
    if claim is None:
        return None
    text = documents[evidence[0].doc].text
    spans = sentences(text)
    at = next((i for i, (a, b) in enumerate(spans) if a <= evidence[0].start < b), None)
    if at is None:
        return None
    wanted = {w for w in re.findall(r"\b(?:[A-Z]\w+|\d[\d,.]*\d|\d)", claim[1:]) if len(w) > 2}
    for first in range(at, max(-1, at - 3), -1):
        cited = tuple(text[a:b] for a, b in spans[first : at + 1])
        if all(word in "\n".join(cited) for word in wanted):
            return Pair(claim, cited, evidence[0].doc, "question answered")
    return None


def statement(question: str, answer: str) -> str | None:
    """A question and its answer in one sentence, by a few rules; None where none fits."""
    asked, answer = question.strip().rstrip("?").strip(), answer.strip().rstrip(".")
    rules: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        (r"(?:Who|What|Which [\w ]{3,25}?) (is|are|was|were) (.+)", lambda m: f"{m[2]} {m[1]} {answer}"),
        (r"(?:Who|Which [\w ]{3,25}?|What [\w ]{3,15}?) "
         r"(?!did|do|does|is|are|was|were|has|have)(\w+(?:ed|s|t|n|d|w|k|e|ve|ot|an)\b .+)",
         lambda m: f"{answer} {m[1]}"),
        (r"When (was|were|is|are) (.+?) (\w+(?:ed|n|t|d|ght|wn))\b(.*)",
         lambda m: f"{m[2]} {m[1]} {m[3]}{m[4]} in {answer}"),
        (r"(?:When|In what year|In which year|What year) did (.+)", lambda m: f"{m[1]} in {answer}"),
        (r"Where (did|was|were|is|are) (.+)", lambda m: f"{m[2]} {'' if m[1] == 'did' else m[1] + ' '}in {answer}"),
        (r"How (?:many|much) ([\w' -]+?) (did|do|does|were|was|are|is|have|has) (.+)",
         lambda m: f"{m[3]} {m[2]} {answer} {m[1]}"),
        (r"(?:What|Who|Which [\w ]{3,25}?|What [\w ]{3,15}?) (did|does|do) (.+)", lambda m: f"{m[2]} {m[1]} {answer}"),
        (r"How (?:long|old|tall|high|far|big|large) (was|is|are|were|did|does) (.+)", lambda m: f"{m[2]} {m[1]} {answer}"),  # noqa: E501
    ]  # fmt: skip
    for pattern, said in rules:
        found = re.fullmatch(pattern, asked)
        if found:
            text = said(found)
            return f"{text[0].upper()}{text[1:]}."
    return None


# Corruptions


def _replaced(
    claim: str,
    dice: random.Random,
    change: Callable[[str, random.Random], str | None],
    pattern: re.Pattern[str] | None = None,
) -> str | None:
    if pattern is not None:
        places = list(pattern.finditer(claim))
    else:
        dates = [found.span() for found in _DATE.finditer(claim)]
        places = [
            found
            for each in (_NUMBER, _WORD)
            for found in each.finditer(claim)
            if not any(a <= found.start() < b for a, b in dates)
        ]
    if not places:
        return None
    place = dice.choice(places)
    new = change(place[0], dice)
    return None if new is None or new == place[0] else claim[: place.start()] + new + claim[place.end() :]


def _other_number(text: str, dice: random.Random) -> str | None:
    if text.lower() in _ONES:
        value = _ONES.index(text.lower())
        new = _ONES[dice.choice([n for n in range(2, 13) if n != value])]
        return new.capitalize() if text[0].isupper() else new
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    place = dice.choice(digits)
    wheel = [c for c in "123456789" if c != text[place]]
    return text[:place] + dice.choice(wheel) + text[place + 1 :]


def _other_date(text: str, dice: random.Random) -> str | None:
    month = re.search(_MONTH, text)
    if month and dice.random() < 0.5:
        return text.replace(month[0], dice.choice([m for m in _MONTHS if m != month[0]]))
    year = re.search(r"\d{4}", text)
    if year and (not month or dice.random() < 0.5):
        return text.replace(year[0], str(int(year[0]) + dice.choice([-30, -11, -7, -3, -2, -1, 1, 2, 3, 7, 11, 30])))
    day = re.search(r"\b\d{1,2}\b", text)
    if day:
        new = dice.choice([d for d in range(1, 29) if d != int(day[0])])
        return text[: day.start()] + str(new) + text[day.end() :]
    return None


def _other_name(claim: str, names: Sequence[str], cited: str, dice: random.Random) -> str | None:
    places = list(_NAME.finditer(claim))
    near = f"{cited} {claim}".lower()
    others = [name for name in names if not any(word[:5].lower() in near for word in name.split())]
    if not places or not others:
        return None
    place = dice.choice(places)
    return claim[: place.start()] + dice.choice(others) + claim[place.end() :]


def _denied(claim: str) -> str | None:
    found = _DENIED.search(claim)
    if found:
        word = "can" if found[0] == "cannot" else found[1]
        return claim[: found.start()] + word + claim[found.end() :]
    found = _HELPER.search(claim)
    if not found:
        return None
    first, _, rest = found[1].partition(" ")
    return claim[: found.start()] + " ".join(filter(None, (first, "not", rest))) + claim[found.end() :]


def _neighbours(cited: Sequence[str], run: Sequence[str]) -> Iterator[str]:
    places = [i for i, text in enumerate(run) if text in cited]
    if places:
        for place in (places[0] - 1, places[-1] + 1):
            if 0 <= place < len(run):
                yield run[place]
