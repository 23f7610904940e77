"""Risk-coverage and calibration as inline SVG. Draws arrays; computes nothing of a run and needs no library."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 420, 280, 52, 16, 16, 44


def risk_coverage(steps: Sequence[tuple[float, float, float]], base: Sequence[tuple[float, float, float]] = ()) -> str:
    """Steps of (coverage, risk, confidence at least), and perhaps those of another run."""
    most = max([0.1, *(risk for _, risk, _ in [*steps, *base])])
    top = min(1.0, (int(most * 10) + 1) / 10)
    lines = [_guide(0.05, top, "5 %"), _guide(0.10, top, "10 %")] if top <= 1 else []
    for name, points in (("base", base), ("new", steps)):
        if points:
            path = " ".join(f"{_x(coverage):.1f},{_y(risk / top):.1f}" for coverage, risk, _ in points)
            lines.append(f'<polyline class="line {name}" points="{path}"/>')
            coverage, risk, _ = points[-1]
            lines.append(f'<circle class="dot {name}" cx="{_x(coverage):.1f}" cy="{_y(risk / top):.1f}" r="3.5"/>')
    return _frame(lines, "coverage: share of all questions answered", "risk: share of answers wrong", top)


def calibration(bins: Sequence[tuple[float, float, int]]) -> str:
    """Bins of (mean confidence, share right, answers) as dots; on the diagonal they are well calibrated."""
    most = max((count for _, _, count in bins), default=1)
    lines = [f'<line class="guide" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>']
    for confidence, right, count in bins:
        radius = 4 + 10 * (count / most) ** 0.5
        lines.append(
            f'<circle class="bubble" cx="{_x(confidence):.1f}" cy="{_y(right):.1f}" r="{radius:.1f}">'
            f"<title>confidence {confidence:.2f}, right {right:.2f}, {count} answers</title></circle>"
        )
    return _frame(lines, "confidence", "share of answers right", 1.0)


def interval(mean: float, low: float | None, high: float | None) -> str:
    """A score in [0, 1] with its interval, as a small bar."""
    place = 4 + 112 * mean
    whisker = ""
    if low is not None and high is not None:
        left, width = 4 + 112 * low, max(1.0, 112 * (high - low))
        whisker = f'<rect class="whisker" x="{left:.1f}" y="5" width="{width:.1f}" height="6"/>'
    return (
        '<svg class="interval" viewBox="0 0 120 16" aria-hidden="true">'
        '<line class="rail" x1="4" y1="8" x2="116" y2="8"/>'
        f'{whisker}<circle class="dot new" cx="{place:.1f}" cy="8" r="3.2"/></svg>'
    )


def gap(mean: float, low: float | None, high: float | None, reach: float, kind: str = "") -> str:
    """A difference in [-reach, reach] with its interval, about a line at nought; `kind` is its colour."""

    def place(value: float) -> float:
        return 60 + 56 * max(-1.0, min(1.0, value / reach))

    whisker = ""
    if low is not None and high is not None and mean:
        width = max(1.0, place(high) - place(low))
        whisker = f'<rect class="whisker" x="{place(low):.1f}" y="5" width="{width:.1f}" height="6"/>'
    return (
        f'<svg class="interval {kind}" viewBox="0 0 120 16" aria-hidden="true">'
        '<line class="rail" x1="60" y1="0" x2="60" y2="16"/>'
        f'{whisker}<circle class="dot new" cx="{place(mean):.1f}" cy="8" r="3.2"/></svg>'
    )


def _frame(lines: Sequence[str], below: str, beside: str, top: float) -> str:
    ticks = []
    for number in range(6):
        share = number / 5
        ticks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(share)}" y2="{_y(share)}"/>')
        ticks.append(
            f'<text class="tick" x="{LEFT - 8}" y="{_y(share) + 4}" text-anchor="end">{share * top:.2g}</text>'
        )
        ticks.append(
            f'<text class="tick" x="{_x(share)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{share:g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    names = (
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{below}</text>'
        f'<text class="axis" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{beside}</text>'
    )
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{beside} by {below}">'
        f"{''.join(ticks)}{''.join(lines)}{names}</svg>"
    )


def _guide(risk: float, top: float, label: str) -> str:
    y = _y(risk / top)
    return (
        f'<line class="guide" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="tick" x="{WIDTH - RIGHT - 2}" y="{y - 3}" text-anchor="end">{label}</text>'
    )


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)
