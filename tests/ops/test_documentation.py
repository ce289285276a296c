"""What the pages say of options and metrics, compared with what there is; and where links lead."""

import ast
import re
from pathlib import Path
from typing import Any

from livia.ops import octavia_conf, settings

HERE = Path(__file__).parents[2]
PAGES = [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]
PAGE = HERE / "docs" / "octavia-conf.md"
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


def anchors(page: Path) -> set[str]:
    """What its headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_links_lead_somewhere() -> None:
    found = 0
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in anchors(target), (page.name, link)
            found += 1
    assert found >= len(PAGES)


def test_the_readme_leads_to_every_page() -> None:
    readme = (HERE / "README.md").read_text()
    assert [each.name for each in PAGES[1:] if f"(docs/{each.name})" not in readme] == []


def test_every_option_is_documented_with_its_default() -> None:
    written: dict[tuple[str, str], str] = {}
    for part in PAGE.read_text().split("\n### ")[1:]:
        section = part.partition("\n")[0].strip("[]")
        written |= {(section, row["option"]): row["default"] for row in ROW.finditer(part)}
    read = {
        (section, option): shown(getattr(getattr(settings.CONTRACT, reader), option))
        for section in octavia_conf.READERS
        for option, (reader, _kind) in octavia_conf.options_of(section).items()
    }
    assert written == read


METRICS = HERE / "docs" / "metrics.md"
METRIC_ROW = re.compile(r"^\| `(livia_\w+)` \|([^|]*)\|", re.MULTILINE)


def declared_metrics() -> dict[str, set[str]]:
    """Each metric that the code declares, as it is scraped, with its labels."""
    found: dict[str, set[str]] = {}
    for path in (HERE / "src").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or not call.args:
                continue
            kind, first = call.func.id, call.args[0]
            if not (isinstance(first, ast.Constant) and str(first.value).startswith("livia_")):
                continue
            name = str(first.value)
            if kind.startswith("Counter"):
                name = f"{name.removesuffix('_total')}_total"
            given = [*call.args[2:3], *(each.value for each in call.keywords if each.arg in ("labels", "labelnames"))]
            lists = [each for each in given if isinstance(each, (ast.List, ast.Tuple))]
            found[name] = {str(ast.literal_eval(each)) for one in lists for each in one.elts}
    return found


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = METRIC_ROW.findall(METRICS.read_text())
    written = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert written == declared_metrics()
