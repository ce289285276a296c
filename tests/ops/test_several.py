"""Several APIs and several workers on one database, as processes; and workers that are killed."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from livia.ops import dbmanage
from livia.store import tables as t
from livia.store.engine import Database
from tests import database as rows
from tests.database import SERVERS, server_database
from tests.ops.programs import PATIENCE, SUBNET, Api, command, configured, running

WORKERS, APIS, EACH = 3, 2, 8
#: more than a worker does before this process finds out that it has begun
COUNT = 100


@pytest.fixture(params=["sqlite", *(kind for kind in SERVERS if kind == "mariadb")])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with every table."""
    with ExitStack() as stack:
        found = f"sqlite:///{tmp_path / 'octavia.db'}"
        if request.param != "sqlite":
            found = stack.enter_context(server_database(request.param)).url.render_as_string(hide_password=False)
        conf, _port = configured(tmp_path, found)
        assert dbmanage.main(["--config-file", str(conf), "upgrade", "head"]) == 0
        yield found


def settled(database: Database, seconds: float) -> float:
    """Wait until nothing is left to do; seconds that it took."""
    begin = time.monotonic()
    while True:
        with database.read() as connection:
            left = connection.execute(select(func.count()).select_from(t.work)).scalar_one()
        if not left:
            return time.monotonic() - begin
        assert time.monotonic() - begin < seconds, f"{left} are left"
        time.sleep(0.02)


def statuses(database: Database) -> Counter[str]:
    with database.read() as connection:
        return Counter(connection.execute(select(t.load_balancer.c.provisioning_status)).scalars())


def written(apis: Sequence[Api], number: int) -> str:
    """The id of a load balancer of one of two projects, which one API makes and the next changes three times."""
    project = f"project-{number % 2}"
    first, second = apis[number % APIS], apis[(number + 1) % APIS]
    wanted = {"vip_subnet_id": SUBNET, "project_id": project}
    made = first.ask("POST", "/loadbalancers", {"loadbalancer": wanted}, X_Project_Id=project)
    key: str = made.json()["loadbalancer"]["id"]
    for name in ("one", "two", "three"):
        change = second.ask("PUT", f"/loadbalancers/{key}", {"loadbalancer": {"name": name}}, X_Project_Id=project)
        assert change.status == 200, change.data
    return key


def test_writes_of_two_projects_through_two_apis_and_three_workers(tmp_path: Path, url: str) -> None:
    database = Database(url)
    with ExitStack() as stack:
        apis = []
        for number in range(APIS):
            (tmp_path / str(number)).mkdir()
            conf, port = configured(tmp_path / str(number), url)
            stack.enter_context(running("api", conf))
            apis.append(Api(port))
        # Before the workers start: five interpreters at once kept each other from starting on a busy machine.
        for api in apis:
            api.wait("")
        # In one directory of seats, as workers of one machine are.
        for _number in range(WORKERS):
            stack.enter_context(running("worker", tmp_path / "0" / "noauth.conf"))
        with ThreadPoolExecutor(4) as pool:
            keys = list(pool.map(partial(written, apis), range(EACH)))
        settled(database, PATIENCE)
    assert statuses(database) == {"ACTIVE": EACH}
    with database.read() as connection:
        built = connection.execute(select(t.amphora.c.load_balancer_id)).scalars().all()
        events = connection.execute(
            select(t.event.c.load_balancer_id, t.event.c.message).where(t.event.c.code == "load_balancer.active")
        ).all()
        left = connection.execute(select(t.lease.c.key).where(t.lease.c.owner.is_not(None))).scalars().all()
    assert Counter(built) == dict.fromkeys(keys, len(built) // len(keys))
    # Nobody confirmed twice what was confirmed.
    assert len(events) == len(set(events))
    assert left == []
    database.close()


@contextmanager
def worker(conf: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that may be killed."""
    process = subprocess.Popen(command("worker", conf))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_workers_load_balancers_are_active_soon_after_its_restart(tmp_path: Path) -> None:
    database = rows.fresh(tmp_path)
    conf, _port = configured(tmp_path, f"sqlite:///{tmp_path / 'livia.db'}")
    assert dbmanage.main(["--config-file", str(conf), "stamp", "head"]) == 0
    for _number in range(COUNT):
        rows.put_load_balancer(database, topology="SINGLE", port_id=SUBNET, subnet_id=SUBNET, network_id=SUBNET)
    with worker(conf) as first:
        while not statuses(database)["ACTIVE"]:
            time.sleep(0.005)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    with database.read() as connection:
        held = connection.execute(select(t.lease.c.key).where(t.lease.c.owner.is_not(None))).scalars().all()
    assert held
    assert statuses(database)["ACTIVE"] < COUNT
    with database.write() as connection:
        connection.execute(update(t.lease).where(t.lease.c.key.in_(held)).values(expires=t.lease.c.expires + 3600))
    with worker(conf):
        # Less than the leases last.
        settled(database, PATIENCE)
    assert statuses(database) == {"ACTIVE": COUNT}
    database.close()
