"""What docs/octavia-conf.md says is read of octavia.conf, compared with what is."""

import re
from pathlib import Path
from typing import Any

from livia.ops import settings

PAGE = Path(__file__).parents[2] / "docs" / "octavia-conf.md"
ROW = re.compile(r"\| `(?P<option>\w+)` \| (?P<default>.*?) \| (?P<meaning>.+) \|")


def shown(value: Any) -> str:
    """A default as one writes it into octavia.conf; `-`: nothing."""
    if value in (None, "", (), {}):
        return "-"
    if isinstance(value, dict):
        value = tuple(f"{name}:{text}" for name, text in value.items())
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{int(value) if isinstance(value, float) and value.is_integer() else value}`"


def test_every_option_is_documented_with_its_default() -> None:
    written: dict[tuple[str, str], str] = {}
    for part in PAGE.read_text().split("\n### ")[1:]:
        section = part.partition("\n")[0].strip("[]")
        written |= {(section, row["option"]): row["default"] for row in ROW.finditer(part)}
    read = {
        (section, option): shown(getattr(getattr(settings.CONTRACT, reader), option))
        for section in settings.READERS
        for option, (reader, _kind) in settings.options_of(section).items()
    }
    assert written == read
