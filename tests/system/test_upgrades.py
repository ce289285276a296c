"""Services that are restarted and replaced by others of another version: traffic does not notice, no write is lost."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import msgspec
import pytest

import livia
from livia.ops.demo.api import Api, ApiError, NoAnswerError
from livia.ops.status import children
from tests.load.alone import Pair
from tests.load.site import Site
from tests.system.conftest import System
from tests.waiting import wait_for

SERVICES = ("agent", "health", "worker", "house", "api")


class Writer:
    """A client that makes pools all the time, one after the other, and knows what it was answered.

    Where nobody listens it tries again. `lost`: requests that were taken and never answered; such a client cannot
    know what became of them. `silent`: seconds in which nobody listened.
    """

    def __init__(self, api: Api, site: Site) -> None:
        self._api = api
        # Of another load balancer than that of the traffic, which would not be ACTIVE while it is written to.
        self._key = site.id("loadbalancers/idle")
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self.written: dict[str, str] = {}
        self.lost: list[str] = []
        self.errors: list[str] = []
        self.silent = 0.0

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            name = f"written-{uuid4()}"
            begin = time.monotonic()
            while not self._write(name):
                time.sleep(0.01)
                self.silent += time.monotonic() - begin
                begin = time.monotonic()

    def _write(self, name: str) -> bool:
        """Whether there was somebody who heard it."""
        pool = {"name": name, "loadbalancer_id": self._key, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        try:
            self.written[name] = self._api.post("/pools", {"pool": pool})["pool"]["id"]
        except NoAnswerError as error:
            if "refused" in str(error) and not self._stop.is_set():
                return False
            self.lost.append(str(error))
        except ApiError as error:
            self.errors.append(str(error))
        return True

    def present(self) -> dict[str, str]:
        """What there is of all that any made."""
        found = self._api.get(f"/pools?loadbalancer_id={self._key}&limit=1000")["pools"]
        return {each["name"]: each["id"] for each in found}


@pytest.fixture(scope="module")
def site(system: System) -> Iterator[Site]:
    made = Site(system, "ACTIVE_STANDBY")
    yield made
    made.close()


def pid_of(system: System, service: str) -> int | None:
    assert system.livia.process is not None
    for pid in children(system.livia.process.pid):
        # One that ended meanwhile is not it.
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == f"livia-{service}":
                return pid
    return None


def restart(system: System, service: str) -> None:
    """One service ends as it is asked to, and is started again by the supervisor."""
    before = pid_of(system, service)
    assert before is not None
    os.kill(before, signal.SIGTERM)
    wait_for(lambda: pid_of(system, service) not in (None, before), 20, f"{service} is another process")


def test_every_service_is_restarted_one_by_one(system: System, site: Site) -> None:
    pair = Pair(system, site)
    haproxies = pair.processes()
    with site.traffic() as traffic, Writer(system.api, site) as writer:
        for service in SERVICES:
            restart(system, service)
            written = len(writer.written)
            wait_for(lambda: len(writer.written) > written + 10, 20, f"writes are answered after {service}")  # noqa: B023
    for name in ("main", "idle"):
        site.wait(name)
    assert traffic.failures() == []
    assert (writer.lost, writer.errors) == ([], [])
    assert writer.silent == 0.0, "connections wait for the next process of the API"
    assert writer.written == writer.present()
    assert (pair.now(), pair.processes()) == (pair.ids, haproxies)
    print(f"{sum(traffic.requests().values())} requests, {len(writer.written)} writes")


@contextmanager
def version(source: Path) -> Iterator[None]:
    """`livia up` runs from another copy of the package."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(source)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def later_version(directory: Path) -> Path:
    """A copy of the package in which a spec says more than here."""
    source = Path(livia.__file__).parent
    shutil.copytree(source, directory / "livia", ignore=shutil.ignore_patterns("__pycache__"))
    file = directory / "livia" / "core" / "spec" / "assignment.py"
    text = file.read_text()
    assert "    stick_size: str = STICK_SIZE\n" in text
    file.write_text(text.replace("    stick_size: str", "    colour: str = 'blue'\n    stick_size: str"))
    return directory


def records(system: System, pair: Pair) -> list[Path]:
    """What the agent wrote of each amphora."""
    return [system.livia.installation.state.agent_directory / "amphorae" / each / "applied.json" for each in pair.ids]


def spec_fields(path: Path) -> set[str]:
    return set(msgspec.json.decode(path.read_bytes())["assignment"]["spec"])


def as_an_earlier_version_wrote(path: Path) -> None:
    """Without what came later."""
    record = msgspec.json.decode(path.read_bytes())
    del record["assignment"]["spec"]["stick_size"]
    path.write_bytes(msgspec.json.encode(record))


def test_other_versions_take_over_what_is_there(system: System, site: Site, tmp_path: Path) -> None:
    pair = Pair(system, site)
    haproxies = pair.processes()
    later, here = later_version(tmp_path), Path(livia.__file__).parent.parent
    listener = site.paths["listeners/http"]
    with site.traffic() as traffic, Writer(system.api, site) as writer:
        for number, source in enumerate((later, here, later)):
            system.livia.stop()
            for path in records(system, pair):
                if number == 0:
                    as_an_earlier_version_wrote(path)
            with version(source):
                system.livia.start()
            system.api.put(listener, {"listener": {"timeout_client_data": 70_000 + number}})
            site.wait()
            assert all(("colour" in spec_fields(path)) is (source is later) for path in records(system, pair))
            wait_for(lambda: bool(writer.written), 20, "writes are answered")
    assert traffic.failures() == []
    assert (writer.lost, writer.errors) == ([], [])
    assert writer.written.items() <= writer.present().items()
    assert (pair.now(), pair.processes()) == (pair.ids, haproxies)
