"""One line of a bench table, the table, and the file that keeps it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """What one measurement came to.

    Args:
        name: what was measured, with its unit at the end: ``knock_to_card_ms``.
        median: over all runs, in ``unit``.
        unit: ``ms``, ``kB``, ``1/s``, …
        runs: how many samples the median stands on.
        peer: the median of what it is compared with, in the same unit and the same run of the bench.
        ratio: ``median / peer``; ``None`` exactly when ``peer`` is.
        note: what else a reader must know, such as the spread or why there is no peer.
    """

    name: str
    median: float
    unit: str
    runs: int
    peer: float | None = None
    ratio: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls, name: str, unit: str, samples: Sequence[float], peer: Sequence[float] = (), note: str = ""
    ) -> Row:
        """The row of some samples, and of a peer's if there is one.

        Raises:
            ValueError: nothing was measured, or the peer's median is zero.
        """
        if not samples:
            raise ValueError(f"{name}: nothing was measured")
        median = statistics.median(samples)
        if not peer:
            return cls(name, median, unit, len(samples), note=note)
        other = statistics.median(peer)
        if other == 0:
            raise ValueError(f"{name}: a peer of zero compares with nothing")
        return cls(name, median, unit, len(samples), other, median / other, note)


def table(rows: Sequence[Row]) -> str:
    """Rows as aligned text, numbers to the right."""
    head = ("name", "median", "unit", "runs", "peer", "ratio", "")
    body = [
        (
            row.name,
            _number(row.median),
            row.unit,
            str(row.runs),
            _number(row.peer),
            _number(row.ratio),
            row.note,
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    aligned = ("<", ">", "<", ">", ">", ">", "<")
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, aligned, widths, strict=True)
        ).rstrip()
        for line in (head, *body)
    )


def write(group: str, rows: Sequence[Row], folder: Path) -> Path:
    """Keep a group's rows as ``<folder>/<group>.json`` and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{group}.json"
    path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2, allow_nan=False) + "\n")
    return path


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
