"""The library: what is indexed, in which state, what could not be read and why; and passages that a search finds.

Looks at files' sizes and times, opens none. All functions give HTML in which nothing of documents is markup.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.catalog import DocumentInfo, FileState
from index.plan import Plan
from index.sync import SyncReport
from index.web import is_url
from rag.answer import Rag
from rag.display.prose import attributes, escape, excerpt, names, shortened
from rag.values import Passage
from ui.cited import source_link

LISTED = 300
"""Rows of the list at most; what is looked for beyond is found by its name."""

STATES = {
    "ready": ("✓", "Indexed, and the file is as it was."),
    "changed": ("↻", "The file has changed since; a sync reads it again."),
    "gone": ("✕", "The file is no longer there; a sync takes it out of the index."),
    "web": ("✓", "Indexed from the web; a sync asks whether the page has changed."),
    "memory": ("✓", "Indexed from text that is no file."),
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A document with its state, a key of STATES; `size` in bytes, None where it is no file.

    `uploaded` is true of one whose file came through the page, and goes with it.
    """

    info: DocumentInfo
    state: str
    size: int | None
    uploaded: bool = False


Holds = Callable[[str], bool]
"""Whether a file came through the page."""


def holdings(kb: Rag, holds: Holds = lambda path: False) -> list[Holding]:
    """Every document with the state of its file."""
    documents = kb.documents()
    states = {state.doc: state for state in kb.index.catalog.files()} if documents else {}
    return [
        Holding(info, *_state(states.get(info.doc)), bool(info.path) and holds(str(info.path))) for info in documents
    ]


def _state(state: FileState | None) -> tuple[str, int | None]:
    path = state.path if state else None
    if state is None or path is None:
        return "memory", None
    if is_url(path):
        return "web", state.source.size
    try:
        stat = Path(path).stat()
    except OSError:
        return "gone", state.source.size
    same = (stat.st_size, stat.st_mtime_ns) == (state.source.size, state.source.mtime_ns)
    return ("ready" if same else "changed"), stat.st_size


def library_html(kb: Rag, wanted: str = "", holds: Holds = lambda path: False) -> str:
    """The documents whose name or title holds `wanted`, a line each, and below them what could not be read."""
    held = holdings(kb, holds)
    words = wanted.casefold().split()
    found = [h for h in held if all(word in f"{h.info.doc} {h.info.title}".casefold() for word in words)]
    rows = "".join(_row(holding) for holding in found[:LISTED])
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Document", "State", "Size", "Date", "Indexed", "")
    ).replace('<th scope="col"></th>', '<td class="acts"></td>')
    table = (
        '<div class="wide"><table class="holdings" role="grid" aria-label="Documents">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    more = f'<p class="gap">and {len(found) - LISTED:,} more: search for a name</p>' if len(found) > LISTED else ""
    return _summary(held, len(found), bool(words)) + (table if rows else "") + more + failures_html(kb)


def _summary(held: Sequence[Holding], found: int, searched: bool) -> str:
    if not held:
        return '<p class="soft">Nothing is indexed yet. Add files, a folder or a web address above.</p>'
    stale = sum(holding.state in ("changed", "gone") for holding in held)
    parts = [_count(len(held), "document"), f"{sum(h.info.chunks for h in held):,} passages"]
    if searched:
        parts.append(f"{found:,} match")
    if stale:
        parts.append(f"{stale:,} changed on disk since the last sync")
    return f'<p class="soft">{" · ".join(parts)}</p>'


def _row(holding: Holding) -> str:
    info = holding.info
    title, file = names(info.doc, info.title)
    sign, words = STATES[holding.state]
    pages = _count(info.pages, "page") if info.pages else ""
    size = " · ".join(part for part in (_bytes(holding.size), pages) if part)
    named = f'<span class="file">{escape(file)}</span>' if file else ""
    opens = f'<button type="button" class="doc"{attributes({"data-doc": info.doc})}><span class="title">{escape(title)}'
    return (
        f'<tr><th scope="row">{opens}</span>{named}</button></th>'
        f'<td><span class="state {holding.state}"{attributes({"title": words})}>{sign}'
        f'<span class="unseen"> {words}</span></span></td>'
        f"<td>{size or f'{info.characters:,} characters'}</td><td>{escape(str(info.meta.get('date', ''))[:10])}</td>"
        f"<td>{time.strftime('%Y-%m-%d', time.localtime(info.indexed))}</td>"
        f'<td class="acts">{_acts(info.doc, holding.uploaded)}</td></tr>'
    )


def _acts(doc: str, uploaded: bool) -> str:
    said = f"More for {doc}"
    ask = {"type": "button", "class": "plain", "data-act": "only", "data-name": doc}
    gone = {**ask, "class": "plain danger", "data-act": "remove"}
    return (
        f'<details class="menu"><summary{attributes({"aria-label": said})}>⋯</summary><div class="choices">'
        f"<button{attributes(ask)}>Ask only this one</button><button{attributes(gone)}>"
        f"{'Remove, and delete the upload' if uploaded else 'Remove from the index'}</button></div></details>"
    )


def failures_html(kb: Rag) -> str:
    """What could not be read, and why."""
    failed = kb.index.catalog.failures() if kb.index.exists() else []
    if not failed:
        return ""
    rows = "".join(
        f"<li><span>{escape(doc)}</span> <span class='soft'>{escape(shortened(reason, 300))}</span></li>"
        for doc, reason in failed[:LISTED]
    )
    more = f"<li>and {len(failed) - LISTED:,} more</li>" if len(failed) > LISTED else ""
    return (
        f'<details class="failures" open><summary>{_count(len(failed), "file")} could not be read</summary>'
        f"<ul>{rows}{more}</ul></details>"
    )


def passages_html(passages: Sequence[Passage], question: str) -> str:
    """What a search finds, best first, each with its scores; it opens its source."""
    if not question.strip():
        return ""
    if not passages:
        return '<p class="soft">No passage fits.</p>'
    rows = "".join(
        "<li>" + source_link(_passage(number, p), p.doc, p.start, p.end, class_="note") + "</li>"
        for number, p in enumerate(passages, 1)
    )
    return f'<ul class="notes passages" aria-label="Passages found">{rows}</ul>'


def _passage(number: int, passage: Passage) -> str:
    title, _ = names(passage.doc, passage.title)
    page = f" · page {passage.page}" if passage.page else ""
    scores = f"score {passage.score:.3f} · meaning {passage.dense:.2f} · words {passage.lexical:.1f}"
    return (
        f'<span class="number">{number}</span><span class="where"><span class="title">{escape(title)}</span>{page} · '
        f'<span class="scores">{scores}</span><span class="quote">{escape(excerpt(passage.text, 320))}</span></span>'
    )


# Syncing


def _to_do(plans: Sequence[Plan]) -> tuple[dict[str, list[str]], int]:
    """What plans are going to do, by verb, and how many documents they leave alone."""
    verbs: dict[str, list[str]] = {"Add": [], "Read again": [], "Rename": [], "Remove": [], "Cannot be read": []}
    unchanged = 0
    for plan in plans:
        verbs["Add"] += [task.doc for task in plan.added]
        verbs["Read again"] += [task.doc for task in plan.changed]
        verbs["Rename"] += [f"{state.doc} → {task.doc}" for state, task in plan.moved]
        verbs["Remove"] += plan.removed
        verbs["Cannot be read"] += [f"{doc}: {reason}" for doc, reason in plan.failed]
        unchanged += len(plan.unchanged) + len(plan.touched)
    return verbs, unchanged


def plan_html(plans: Sequence[Plan]) -> str:
    """What a sync would do, in lists that fold."""
    verbs, unchanged = _to_do(plans)
    lists = "".join(_names(verb, listed) for verb, listed in verbs.items() if listed)
    lost = [plan.target for plan in plans if plan.removed and plan.loses_most]
    warning = "".join(
        f'<p class="warning" role="alert">More than half of {escape(target)} would go. Is the disk there?</p>'
        for target in lost
    )
    if not any(listed for verb, listed in verbs.items() if verb != "Cannot be read"):
        return f'<p class="soft" role="status">Nothing to do: {unchanged:,} unchanged.</p>{lists}'
    return f'<div class="plan" role="status">{warning}{lists}<p class="soft">{unchanged:,} unchanged</p></div>'


def _names(verb: str, listed: Sequence[str]) -> str:
    shown = "".join(f"<li>{escape(shortened(name, 300))}</li>" for name in listed[:LISTED])
    more = f"<li>and {len(listed) - LISTED:,} more</li>" if len(listed) > LISTED else ""
    opened = " open" if len(listed) <= 12 else ""
    return f"<details{opened}><summary>{verb}: {len(listed):,}</summary><ul>{shown}{more}</ul></details>"


def planned(plans: Sequence[Plan]) -> str:
    """What a sync is about to do, in a line."""
    verbs, unchanged = _to_do(plans)
    failed = len(verbs.pop("Cannot be read"))
    parts = [f"{len(listed):,} to {verb.lower()}" for verb, listed in verbs.items() if listed] or ["nothing to do"]
    parts += [f"{unchanged:,} unchanged"] if unchanged else []
    return ", ".join([*parts, f"{failed:,} cannot be read"] if failed else parts)


def progress_html(what: str, done: int, total: int, plans: Sequence[Plan] = ()) -> str:
    """How far a sync has come, below what it is about to do."""
    plan = f'<p class="soft planned">Planned: {planned(plans)}</p>' if plans else ""
    value = {"max": max(total, 1), "value": done, "aria-label": what} if total else {"aria-label": what}
    count = f"{done:,} of {total:,}" if total else ""
    now = f'<p class="status working" role="status">{escape(what)} {count}</p>'
    return f"{plan}{now}<progress{attributes(value)}></progress>"


def report_html(report: SyncReport) -> str:
    """What a sync did."""
    counts: Mapping[str, int] = {
        "added": len(report.added),
        "read again": len(report.changed),
        "renamed": len(report.moved),
        "removed": len(report.removed),
        "unchanged": len(report.unchanged),
        "failed": len(report.failed),
    }
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "nothing to do"
    warnings = "".join(f"<li>{escape(shortened(text, 300))}</li>" for text in report.warnings[:20])
    below = f"<ul>{warnings}</ul>" if warnings else ""
    return f'<p class="done" role="status">Done in {report.seconds:.1f} s: {said}.</p>{below}'


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= worth:
            return f"{size / worth:.1f} {unit}"
    return f"{size} B"
