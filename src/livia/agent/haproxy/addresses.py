"""Whether HAProxy can have the addresses that a reload adds.

It cannot be left to the reload: a HAProxy that finds an address taken has the old process stop accepting (SIGTTOU),
tries for two seconds, and only then gives up; clients that come meanwhile are refused (management guide, section 4).
"""

import errno
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from livia.agent.errors import HaproxyRefusedError
from livia.agent.haproxy.program import telling
from livia.agent.haproxy.server import endpoint
from livia.agent.haproxy.wiring import streams
from livia.agent.plumbing import kernel
from livia.core.spec import Spec

#: seconds; HAProxy without predecessors ends at once when it cannot bind
_PATIENCE = 2.0


def require(program: Path, namespace: str, running: Spec, wanted: Spec) -> None:
    """Raises HaproxyRefusedError, in HAProxy's words, when somebody else has an address that `wanted` adds."""
    more = sorted(set(_addresses(wanted)) - set(_addresses(running)))
    if not more:
        return
    taken = kernel.inside(namespace, lambda: [each for each in more if not _free(*each)])
    if taken:
        said = _complaint(program, namespace, [endpoint(*each) for each in taken])
        if said:
            raise HaproxyRefusedError("HAProxy cannot listen there.", said)


def _addresses(spec: Spec) -> Iterator[tuple[str, int]]:
    return ((vip.address, listener.port) for listener in streams(spec) for vip in spec.vips)


def _free(address: str, port: int) -> bool:
    """Whether one more socket of ours can be bound; it never listens, so no connection comes to it."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # As HAProxy binds: a predecessor's socket is no obstacle.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            # An address that is yet to be plugged is not somebody else's.
            return error.errno != errno.EADDRINUSE
    return True


def _complaint(program: Path, namespace: str, endpoints: list[str]) -> str:
    """What HAProxy says about these addresses and nothing else; empty when it can have them by now."""
    binds = "".join(f"  bind {each}\n" for each in endpoints)
    text = f"defaults\n  mode tcp\n  timeout client 1s\nfrontend listener\n{binds}"
    command = ["nsenter", f"--net=/run/netns/{namespace}", "--", str(program), "-db", "-f", "/dev/stdin"]
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        return telling(done.stderr)
    return ""
