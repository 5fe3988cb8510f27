"""A line chart as SVG: readable on light and on dark, and told in words for whoever cannot see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 720
_HEIGHT: Final = 390
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 170, 56, 66
# Colours that stand out on white and on near black; dashes and labels tell the lines apart without them.
_STYLES: Final = (("#2f81f7", ""), ("#a371f7", "2 4"), ("#bc6c00", "8 4"))
_INK: Final = "#737a83"
_STYLE: Final = (
    f"text{{fill:{_INK}}}.axis{{stroke:{_INK};stroke-opacity:.35}}"
    "@media(prefers-color-scheme:dark){text{fill:#9ea7b3}}"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One reading.

    Args:
        x: one of the chart's marks.
        low: least of the samples.
        high: greatest of them.
        solid: false where the reading is not to be trusted like the others; drawn hollow.
    """

    x: int
    y: float
    low: float
    high: float
    solid: bool = True


def chart(
    title: str, across: str, upwards: str, lines: Mapping[str, Sequence[Point]], footnote: str = ""
) -> str:
    """Draw it. Marks on the horizontal axis stand at even distances, whatever they are.

    Args:
        across: what the horizontal axis is.
        upwards: what the vertical one is, from 0.
        lines: at most three, by name.
    """
    marks = sorted({point.x for line in lines.values() for point in line})
    top = _round_up(max(point.high for line in lines.values() for point in line))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(_in_words(across, upwards, lines))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="24" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="44">{escape(upwards)}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        y = _y(value, top)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" class="axis"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    parts += [
        f'<text x="{_x(mark, marks):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{mark}</text>'
        for mark in marks
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - _BOTTOM + 40}" text-anchor="middle">'
        f"{escape(across)}</text>"
    )
    if footnote:
        parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 2}" font-size="11">{escape(footnote)}</text>')
    labels = _apart({name: _y(line[-1].y, top) for name, line in lines.items()})
    for (name, line), (colour, dashes) in zip(lines.items(), _STYLES, strict=False):
        way = "L".join(f"{_x(point.x, marks):.1f} {_y(point.y, top):.1f}" for point in line)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2.5"{dashed}/>')
        for point in line:
            x = _x(point.x, marks)
            fill = colour if point.solid else "none"
            parts.append(
                f'<path d="M{x:.1f} {_y(point.low, top):.1f}V{_y(point.high, top):.1f}" stroke="{colour}"/>'
                f'<circle cx="{x:.1f}" cy="{_y(point.y, top):.1f}" r="4.5" fill="{fill}" stroke="{colour}"/>'
            )
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{labels[name] + 4:.1f}" font-weight="600">'
            f"{escape(name)}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(mark: int, marks: Sequence[int]) -> float:
    room = _WIDTH - _RIGHT - _LEFT
    return _LEFT + room * (marks.index(mark) + 0.5) / len(marks)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / top


def _round_up(value: float) -> float:
    """The next number whose quarters are easy to read: 4, 6, 8, 10, 12, 16, 20, and so on tenfold."""
    scale = 1
    while value > 20 * scale:
        scale *= 10
    return float(next(top * scale for top in (2, 4, 6, 8, 10, 12, 16, 20) if value <= top * scale))


def _apart(wanted: Mapping[str, float]) -> dict[str, float]:
    """Heights of labels, moved down where they would lie on one another."""
    placed: dict[str, float] = {}
    floor = float("-inf")
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        floor = placed[name] = max(y, floor + 18)
    return placed


def _in_words(across: str, upwards: str, lines: Mapping[str, Sequence[Point]]) -> str:
    told = (
        f"{name}: " + ", ".join(f"{point.y:.0f} at {point.x}" for point in line)
        for name, line in lines.items()
    )
    return f"{upwards}, by {across}. {'; '.join(told)}."
