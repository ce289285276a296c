"""Tables of commands: what they name is what the next command is given."""

import os
import re
import sys
from io import StringIO
from pathlib import Path
from subprocess import run
from uuid import uuid4

from rich.console import Console
from sqlalchemy import Connection, update

from livia.core.report import HostFacts
from livia.ops import status
from livia.ops.tables import listing
from livia.store import hosts, schema, work
from livia.store import tables as t
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


def printed(connection: Connection, *, everything: bool = False) -> str:
    """What `livia status` says of load balancers."""
    written = StringIO()
    status.show_load_balancers(connection, Console(width=400, file=written), everything=everything)
    return written.getvalue()


def test_no_name_of_a_tenants_ends_the_status_or_reaches_the_terminal(tmp_path: Path) -> None:
    """It is markup to rich: what closes a tag that nobody opened was a traceback instead of every table."""
    database = rows.fresh(tmp_path)
    names = ("[/none]", "[red]plain[/red]", ":boom:", "\x1b[2J\x9b2J\ncleared")
    for name in names:
        key = rows.put_load_balancer(database)
        with database.write() as connection:
            connection.execute(update(t.load_balancer).where(t.load_balancer.c.id == key).values(name=name))
    with database.read() as connection:
        said = printed(connection)
    assert all(name in said for name in names[:3])
    assert "\ufffd[2J\ufffd2J\ufffdcleared" in said


def test_of_many_load_balancers_those_are_shown_that_call_for_a_look(tmp_path: Path) -> None:
    database = rows.fresh(tmp_path)
    keys = [rows.put_load_balancer(database) for _ in range(103)]
    column = t.load_balancer.c
    with database.write() as connection:
        connection.execute(t.work.delete())
        connection.execute(update(t.load_balancer).values(provisioning_status="ACTIVE", operating_status="ONLINE"))
        for key, values in (
            (keys[0], {"provisioning_status": "ERROR"}),
            (keys[1], {"operating_status": "DEGRADED"}),
            (keys[2], {"provisioning_status": "DELETED"}),
        ):
            connection.execute(update(t.load_balancer).where(column.id == key).values(**values))
        work.request(connection, keys[3], project_id="p")
    with database.read() as connection:
        some, whole = printed(connection), printed(connection, everything=True)
    assert {key for key in keys if key in some} == {keys[0], keys[1], keys[3]}
    assert "99 that call for no look are left out: --all shows every one." in some
    assert {key for key in keys if key not in whole} == {keys[2]}
    assert "left out" not in whole
    with database.write() as connection:
        connection.execute(update(t.load_balancer).where(column.id == keys[4]).values(provisioning_status="DELETED"))
        connection.execute(update(t.load_balancer).where(column.id == keys[5]).values(provisioning_status="DELETED"))
    with database.read() as connection:
        some, whole = printed(connection), printed(connection, everything=True)
    # A second may pass between the two.
    assert re.sub(r"\d+ s\b", "s", some) == re.sub(r"\d+ s\b", "s", whole)
    with database.write() as connection:
        connection.execute(update(t.load_balancer).values(provisioning_status="ERROR"))
    with database.read() as connection:
        said = printed(connection)
    assert sum(key in said for key in keys) == 100
    assert "0 that call for no look are left out; so are 3 more that call for it" in said
