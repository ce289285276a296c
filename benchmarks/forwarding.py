"""What Livia's HAProxy configuration costs beside the least that a person would write by hand.

Both run in the amphora's own namespace, with the same VIP and the same members, and take turns for a second each: the
load generator, both proxies and the members share the machine's cores, so that only ratios of neighbouring slices
mean anything.
"""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.figures import Figure, median
from benchmarks.scene import Scene
from livia.ops.up import fabric_of
from livia.store import trees

#: where members answer: a HAProxy that makes up its answers is faster than what is measured
_MEMBER_PORT = 8081
_CLIENTS = 32
#: of the listeners, and what is added to them for the hand-written ports
_PORTS = {"http": 80, "tcp": 81, "tls": 443}
_BESIDE = 10000

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


class Slice(Struct, frozen=True):
    """What wrk saw in one slice. `p99` in milliseconds."""

    rate: float
    p99: float
    failed: int


def beside_by_hand(scene: Scene, *, rounds: int = 9) -> Iterator[Figure]:
    """Requests per second and p99 through Livia's listeners, as ratios to a hand-written file: HTTP, TCP, TLS."""
    with tempfile.TemporaryDirectory(prefix="lv-") as name, _both(scene, Path(name)) as vip:
        for protocol, port in _PORTS.items():
            scheme = "https" if protocol == "tls" else "http"
            rates, tails, failed, absolute = [], [], 0, []
            for number in range(rounds + 1):
                ours, theirs = (
                    _wrk(f"{scheme}://{vip}:{each}/")
                    for each in ((port, port + _BESIDE) if number % 2 else (port + _BESIDE, port))
                )
                if not number % 2:
                    ours, theirs = theirs, ours
                if number:
                    # The first warms up both.
                    rates.append(ours.rate / theirs.rate)
                    tails.append(theirs.p99 / ours.p99)
                    absolute.append(ours.rate)
                    failed += ours.failed
            detail = {"requests/s": round(sorted(absolute)[len(absolute) // 2]), "failed": failed}
            yield median(f"forwarding_rate_{protocol}", rates, "of by hand", least=0.97, **detail)
            yield median(f"forwarding_p99_{protocol}", tails, "of by hand", least=0.97)


@contextmanager
def _both(scene: Scene, directory: Path) -> Iterator[str]:
    """Members, a load balancer with the three listeners, and the hand-written HAProxy beside it. Gives the VIP."""
    certificate = _certificate(directory)
    servers = [
        _haproxy(scene.stage.namespace(name), directory / name, _MEMBERS.format(port=_MEMBER_PORT))
        for name in scene.backends
    ]
    load_balancer = scene.api.post("/loadbalancers", {"loadbalancer": _wanted(scene, certificate)})["loadbalancer"]
    scene.api.wait_active(load_balancer["id"])
    vip = load_balancer["vip_address"]
    lines = "\n".join(f"  server {name} {address}:{_MEMBER_PORT} check" for name, address in scene.backends.items())
    ports = {protocol: port + _BESIDE for protocol, port in _PORTS.items()}
    text = _BY_HAND.format(vip=vip, servers=lines, certificate=certificate, **ports)
    servers.append(_haproxy(_amphora_namespace(scene, load_balancer["id"]), directory / "by-hand", text))
    try:
        time.sleep(2.0)
        yield vip
    finally:
        for server in servers:
            server.send_signal(signal.SIGKILL)
            server.wait()
        scene.delete(load_balancer)


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
        {"protocol": "HTTP", "protocol_port": _PORTS["http"], "default_pool": pool("HTTP")},
        {"protocol": "TCP", "protocol_port": _PORTS["tcp"], "default_pool": pool("TCP")},
        {
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": _PORTS["tls"],
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


def _haproxy(namespace: str, path: Path, text: str) -> subprocess.Popen[bytes]:
    config = path.with_suffix(".cfg")
    config.write_text(text)
    return subprocess.Popen(["nsenter", f"--net=/run/netns/{namespace}", "haproxy", "-db", "-f", str(config)])


def _wrk(url: str) -> Slice:
    said = subprocess.run(
        ["wrk", "--threads", "1", "--connections", str(_CLIENTS), "--duration", "1s", "--latency", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate is not None, said
    assert tail is not None, said
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[tail[2]]
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    failed = (int(errors[1]) if errors else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Slice(float(rate[1]), float(tail[1]) * scale, failed)
