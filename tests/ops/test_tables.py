"""Tables of commands: what they name is what the next command is given."""

import os
import sys
from io import StringIO
from pathlib import Path
from subprocess import run
from uuid import uuid4

from rich.console import Console

from livia.core.report import HostFacts
from livia.ops.tables import listing
from livia.store import hosts, schema
from tests import database as rows


def test_a_narrow_terminal_shows_whole_ids() -> None:
    keys = [str(uuid4()) for _ in range(4)]
    table = listing("Load balancer", "Network", "Port", "Address of it")
    table.add_row(*keys)
    printed = StringIO()
    Console(width=60, file=printed).print(table)
    cells = [line.split("│")[1:-1] for line in printed.getvalue().splitlines() if line.startswith("│")]
    assert ["".join(cell.strip() for cell in column) for column in zip(*cells, strict=True)] == keys


def test_what_goes_into_a_pipe_is_one_line_a_thing(tmp_path: Path) -> None:
    database = rows.fresh(tmp_path)
    schema.stamp(database, "head")
    name = f"amphora-host-{uuid4()}"
    facts = HostFacts(address="192.0.2.1", agent_port=9443, capacity=1000, amphorae=0, availability_zone="zone-east")
    with database.write() as connection:
        hosts.seen(connection, name, facts)
    database.close()
    config = tmp_path / "octavia.conf"
    config.write_text(f"[database]\nconnection = sqlite:///{tmp_path / 'livia.db'}\n")
    command = [sys.executable, "-m", "livia.ops.cli", "--state-directory", str(tmp_path / "none")]
    # pytest says how wide it takes the terminal to be.
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}

    def said(*arguments: str) -> str:
        whole = [*command, "--config-file", str(config), *arguments]
        return run(whole, capture_output=True, text=True, check=True, env=environment).stdout

    (line,) = (line for line in said("host", "list").splitlines() if name in line)
    assert "in service" in line
    # Orphans are those of the database that is named, too.
    assert said("orphans").strip() == "Everything has an owner."
