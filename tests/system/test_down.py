"""`livia down` takes everything away; the next `livia up` brings the load balancers back."""

from pathlib import Path

from livia.agent.names import Names
from livia.ops.demo import faults
from livia.ops.down import down
from tests.system.conftest import System
from tests.system.test_lifecycle import MONITOR, amphorae_of, create, load_on
from tests.waiting import wait_for


def test_down_leaves_nothing_and_up_brings_it_back(system: System) -> None:
    address = system.stage.start_backend("web-1")
    created = create(system, "returning", {"web-1": address}, **MONITOR)
    before = amphorae_of(system, created["id"]).keys()
    state = system.livia.installation.state

    system.stage.close()
    system.livia.close(purge=False)
    assert faults.namespaces(Names(state.agent_directory).prefix) == set()
    assert _processes_of(state.directory) == []
    down(system.livia.installation, purge=False)

    system.livia.start()
    found = system.api.get(f"/loadbalancers/{created['id']}")["loadbalancer"]
    assert (found["name"], found["provisioning_status"]) == ("returning", "ACTIVE")
    assert system.stage.start_backend("web-1") == address
    with load_on(created) as load:
        wait_for(lambda: "web-1" in load.who(), 30, "the member answers again")
    assert amphorae_of(system, created["id"]).keys() == before


def _processes_of(directory: Path) -> list[str]:
    """Command lines of processes that work in a directory or name it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((entry / "cwd").resolve())
        except OSError:
            continue
        if str(directory) in command or where.startswith(str(directory)):
            found.append(command)
    return found
