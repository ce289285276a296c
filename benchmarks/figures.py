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
    """`value` is a median unless `detail` says otherwise; `most` and `least` are targets, where the product has one."""

    name: str
    value: float
    unit: str
    n: int
    detail: dict[str, Any] = {}
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value is as it should be."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def target(self) -> str:
        """The target, in a few characters."""
        if self.least is not None:
            return f"≥ {self.least:g} {self.unit}"
        return "-" if self.most is None else f"≤ {self.most:g} {self.unit}"


def median(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    most: float | None = None,
    least: float | None = None,
    **detail: Any,
) -> Figure:
    """The median of several measurements, with the least and the greatest."""
    spread = {"minimum": round(min(values), 3), "maximum": round(max(values), 3)}
    value = round(statistics.median(values), 3)
    return Figure(name=name, value=value, unit=unit, n=len(values), detail={**spread, **detail}, most=most, least=least)


def save(figures: Sequence[Figure], machine: dict[str, Any]) -> None:
    """Write the results file: what was measured replaces earlier figures of the same names."""
    RESULTS.parent.mkdir(exist_ok=True)
    names = {figure.name for figure in figures}
    earlier = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    lines = [line for line in earlier if json.loads(line)["name"] not in names]
    lines += [
        json.dumps(
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "n": figure.n,
                "detail": {**figure.detail, "target": figure.target, "machine": machine},
            }
        )
        for figure in figures
    ]
    RESULTS.write_text("\n".join(lines) + "\n")


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table("Figure", "Value", "Target", "n", "Detail")
    for figure in figures:
        style = "green" if figure.met else "red"
        detail = ", ".join(f"{key} {value}" for key, value in figure.detail.items())
        table.add_row(
            figure.name, f"[{style}]{figure.value:g} {figure.unit}[/{style}]", figure.target, str(figure.n), detail
        )
    console.print(table)
