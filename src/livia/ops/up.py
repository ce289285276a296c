"""`livia up`: everything on one machine, with no configuration."""

import http.client
import os
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from livia.agent.names import Names
from livia.agent.plumbing import segment
from livia.agent.plumbing.fabric import Fabric
from livia.core.drivers import Network
from livia.drivers.network.local import LocalNetworks
from livia.ops import drivers, housekeeping, leftovers, logs, preflight, serving
from livia.ops.services import Installation
from livia.ops.state import AlreadyRunningError
from livia.ops.supervisor import Supervisor
from livia.pki.authority import AuthorityError, write_private
from livia.store import hosts, schema

#: seconds that a start may take before it counts as failed
_START_LIMIT = 30.0
_POLL = 0.02


class CannotStartError(Exception):
    """Why not, in sentences for the person at the terminal."""


def up(installation: Installation) -> None:
    """Start everything and stay until SIGTERM or Ctrl-C. Raises CannotStartError, OSError."""
    state = installation.state
    _require(preflight.not_root())
    try:
        validity = housekeeping.validity(installation.settings)
        supplied = housekeeping.usable_authority(installation.settings, installation.clock)
        state.prepare(life=validity.life, buffer=validity.buffer, supplied=supplied)
        leftovers.end(state)
        lock = state.lock()
    except (AlreadyRunningError, AuthorityError) as error:
        raise CannotStartError(str(error)) from error
    with lock:
        # At once: until then the file may name a process of long ago, which others would ask to end.
        write_private(state.pid_path, f"{os.getpid()}\n".encode())
        try:
            _start(installation)
        finally:
            state.pid_path.unlink(missing_ok=True)


def _start(installation: Installation) -> None:
    _require(preflight.problems(installation.complete_settings))
    for warning in drivers.about_secrets(installation.complete_settings):
        print(f"warning: {warning}", file=sys.stderr)
    _prepare_database(installation)
    level = logs.level(debug=installation.settings.common.debug)
    logs.configure(json=False, level=level)
    listen = installation.settings.server
    with serving.listen(listen.bind_host, listen.bind_port) as api:
        _stay(installation, Supervisor(installation.services(api), installation.state.log_directory, level=level))


def _require(problems: Sequence[str]) -> None:
    if problems:
        raise CannotStartError("\n".join(problems))


def _stay(installation: Installation, supervisor: Supervisor) -> None:
    supervisor.start()
    try:
        _wait_until_ready(installation, supervisor)
        _attach_host(installation)
        _announce(installation, _age())
        supervisor.run()
    finally:
        supervisor.stop()


def _prepare_database(installation: Installation) -> None:
    database = installation.database()
    try:
        schema.upgrade(database)
    except schema.SchemaError as error:
        raise CannotStartError(str(error)) from error
    finally:
        # Connections must not cross a fork.
        database.close()


def _wait_until_ready(installation: Installation, supervisor: Supervisor) -> None:
    """The API answers and an amphora host is registered, or CannotStartError says which is not so."""
    deadline = time.monotonic() + _START_LIMIT
    missing = "the API does not answer"
    while time.monotonic() < deadline:
        supervisor.step()
        if _api_answers(installation):
            missing = "no amphora host reports"
            if _host_reports(installation):
                return
        time.sleep(_POLL)
    told = "".join(f" {reason}" for reason in supervisor.reasons())
    raise CannotStartError(
        f"After {_START_LIMIT:.0f} s {missing}; the logs in {installation.state.log_directory} say why.{told}"
    )


def _host_reports(installation: Installation) -> bool:
    database = installation.database()
    try:
        with database.read() as connection:
            return any(age < _START_LIMIT for _host, age in hosts.every(connection))
    finally:
        # Connections must not cross a fork.
        database.close()


def _api_answers(installation: Installation) -> bool:
    api = installation.settings.server
    connection = http.client.HTTPConnection(api.bind_host, api.bind_port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _attach_host(installation: Installation) -> None:
    """Give this machine its address on every local network again: it is gone after a reboot."""
    database = installation.database()
    networks = LocalNetworks(database, installation.clock)
    for network in networks.networks():
        attach(installation, networks, network)
    database.close()


def attach(installation: Installation, networks: LocalNetworks, network: Network) -> None:
    """Make this machine the gateway of a local network, so that its addresses can be reached from here."""
    fabric = fabric_of(installation)
    for subnet_id in network.subnet_ids:
        subnet = networks.subnet(subnet_id)
        if subnet is not None and subnet.gateway is not None:
            length = ip_network(subnet.cidr).prefixlen
            segment.attach_host(fabric, network.id, f"{subnet.gateway}/{length}", network.mtu)


def fabric_of(installation: Installation) -> Fabric:
    """The bridges of the embedded amphora host."""
    fabric = Fabric(Names(installation.state.agent_directory))
    fabric.open()
    return fabric


def _age() -> float:
    """Seconds since this process was started, interpreter and imports included (proc(5), stat: starttime)."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def _announce(installation: Installation, elapsed: float) -> None:
    api = installation.settings.server
    print(f"Livia is ready after {elapsed:.2f} s: http://{api.bind_host}:{api.bind_port}", flush=True)
    print("Ctrl-C ends the services, and load balancers go on serving; 'livia down' removes them.", flush=True)
