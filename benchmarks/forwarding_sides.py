"""Who forwards what `benchmarks.forwarding` measures: Livia's listeners, and HAProxy by hand, twice, beside them.

All are in the amphora's own namespace, with the same VIP, certificate and members. Each process is in a session of its
own, as the supervisor starts Livia's HAProxy: the kernel shares cores out among sessions first (sched(7), autogroup).
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.processes import command_name, cpu_seconds
from benchmarks.scene import Scene
from livia.ops.status import children
from livia.ops.up import fabric_of
from livia.store import trees

#: where members answer: a HAProxy that makes up its answers is faster than what is measured
_MEMBER_PORT = 8081
_MEMBERS = """\
global
  nbthread 1
defaults
  mode http
  timeout client 50s
  timeout server 50s
  timeout connect 5s
frontend members
  bind :{port}
  http-request return status 200 content-type text/plain string "hello"
"""

_BY_HAND = """\
global
  nbthread 1
  maxconn 4000
defaults
  timeout client 50s
  timeout server 50s
  timeout connect 5s
frontend http
  mode http
  bind {vip}:{http}
  default_backend http
backend http
  mode http
{servers}
frontend tcp
  mode tcp
  bind {vip}:{tcp}
  default_backend tcp
backend tcp
  mode tcp
{servers}
frontend tls
  mode http
  bind {vip}:{tls} ssl crt {certificate} alpn h2,http/1.1
  default_backend tls
backend tls
  mode http
{servers}
"""

#: of the listeners
PORTS = {"http": 80, "tcp": 81, "tls": 443}
#: what is added to them for the two hand-written files
_BESIDE = (10000, 20000)


class Side(Struct, frozen=True):
    """One who forwards. `processes`: of HAProxy, without their children."""

    urls: dict[str, str]
    processes: tuple[int, ...]

    def cpu_seconds(self) -> float:
        """What its HAProxy has used so far."""
        return sum(cpu_seconds(pid) for pid in self.processes)


class Sides(Struct, frozen=True):
    """Livia, what it is compared with, and the same once more: how far two that do not differ seem to."""

    ours: Side
    by_hand: Side
    control: Side


@contextmanager
def sides(scene: Scene) -> Iterator[Sides]:
    """Members, a load balancer with the three listeners, and two HAProxy beside it."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lv-")))
        certificate = _certificate(directory)
        for name in scene.backends:
            text = _MEMBERS.format(port=_MEMBER_PORT)
            stack.enter_context(_haproxy(scene.stage.namespace(name), directory / f"{name}.cfg", text))
        load_balancer = scene.api.post("/loadbalancers", {"loadbalancer": _wanted(scene, certificate)})["loadbalancer"]
        stack.callback(scene.delete, load_balancer)
        scene.api.wait_active(load_balancer["id"])
        vip, namespace = load_balancer["vip_address"], _amphora_namespace(scene, load_balancer["id"])
        found = [Side(_urls(vip, 0), _masters(namespace))]
        for beside in _BESIDE:
            text = _by_hand(scene, vip, certificate, beside)
            process = stack.enter_context(_haproxy(namespace, directory / f"by-hand-{beside}.cfg", text))
            found.append(Side(_urls(vip, beside), (process.pid,)))
        # Until each has checked the members.
        time.sleep(2.0)
        yield Sides(*found)


def _urls(vip: str, beside: int) -> dict[str, str]:
    return {
        protocol: f"{'https' if protocol == 'tls' else 'http'}://{vip}:{port + beside}/"
        for protocol, port in PORTS.items()
    }


def _by_hand(scene: Scene, vip: str, certificate: Path, beside: int) -> str:
    servers = "\n".join(f"  server {name} {address}:{_MEMBER_PORT} check" for name, address in scene.backends.items())
    ports = {protocol: port + beside for protocol, port in PORTS.items()}
    return _BY_HAND.format(vip=vip, servers=servers, certificate=certificate, **ports)


def _certificate(directory: Path) -> Path:
    """A self-signed certificate with its key in one file, as HAProxy and `livia secret` take it."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=bench.example",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    both = directory / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def _wanted(scene: Scene, certificate: Path) -> dict[str, Any]:
    created = subprocess.run(
        scene.livia.command("secret", "create", "--certificate", str(certificate), "--private-key", str(certificate)),
        check=True,
        capture_output=True,
        text=True,
    )
    reference = created.stdout.split()[0]
    members = [{"address": address, "protocol_port": _MEMBER_PORT} for address in scene.backends.values()]
    monitor = {"type": "TCP", "delay": 2, "timeout": 1, "max_retries": 1}

    def pool(protocol: str) -> dict[str, Any]:
        return {
            "name": protocol,
            "protocol": protocol,
            "lb_algorithm": "ROUND_ROBIN",
            "members": members,
            "healthmonitor": monitor,
        }

    listeners = [
        {"protocol": "HTTP", "protocol_port": PORTS["http"], "default_pool": pool("HTTP")},
        {"protocol": "TCP", "protocol_port": PORTS["tcp"], "default_pool": pool("TCP")},
        {
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": PORTS["tls"],
            "default_tls_container_ref": reference,
            "default_pool": {**pool("HTTP"), "name": "TLS"},
        },
    ]
    return {"name": "bench-forwarding", "vip_subnet_id": scene.stage.subnet.id, "listeners": listeners}


def _amphora_namespace(scene: Scene, key: str) -> str:
    installation = scene.livia.installation
    with installation.database().read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    return fabric_of(installation).names.amphora(tree.amphorae[0].id)


def _masters(namespace: str) -> tuple[int, ...]:
    """HAProxy processes of a namespace that are no other's children."""
    said = subprocess.run(["ip", "netns", "pids", namespace], check=True, capture_output=True, text=True).stdout
    found = {pid for pid in map(int, said.split()) if command_name(pid) == "haproxy"}
    return tuple(found - {child for pid in found for child in children(pid)})


@contextmanager
def _haproxy(namespace: str, path: Path, text: str) -> Iterator[subprocess.Popen[bytes]]:
    path.write_text(text)
    command = ["nsenter", f"--net=/run/netns/{namespace}", "haproxy", "-db", "-f", str(path)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
