"""One measured figure, its table and its file: `.bench/results.jsonl`, one JSON object a line."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

RESULTS = Path(".bench/results.jsonl")


class Figure(Struct, frozen=True, kw_only=True):
    """`value` is a median unless `detail` says otherwise; `most` is the target, where the product has one."""

    name: str
    value: float
    unit: str
    n: int
    detail: dict[str, Any] = {}
    most: float | None = None


def median(name: str, values: Sequence[float], unit: str, *, most: float | None = None, **detail: Any) -> Figure:
    """The median of several measurements, with the least and the greatest."""
    spread = {"minimum": round(min(values), 3), "maximum": round(max(values), 3)}
    value = round(statistics.median(values), 3)
    return Figure(name=name, value=value, unit=unit, n=len(values), detail={**spread, **detail}, most=most)


def save(figures: Sequence[Figure], machine: dict[str, Any]) -> None:
    """Replace the results file."""
    RESULTS.parent.mkdir(exist_ok=True)
    lines = [
        json.dumps(
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "n": figure.n,
                "detail": {**figure.detail, "target_at_most": figure.most, "machine": machine},
            }
        )
        for figure in figures
    ]
    RESULTS.write_text("\n".join(lines) + "\n")


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table("Figure", "Value", "Target", "n", "Detail")
    for figure in figures:
        target = "-" if figure.most is None else f"≤ {figure.most:g} {figure.unit}"
        met = figure.most is None or figure.value <= figure.most
        style = "green" if met else "red"
        detail = ", ".join(f"{key} {value}" for key, value in figure.detail.items())
        table.add_row(figure.name, f"[{style}]{figure.value:g} {figure.unit}[/{style}]", target, str(figure.n), detail)
    console.print(table)
