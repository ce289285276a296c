"""The fabric: one network namespace per agent that holds a Linux bridge for each network.

A namespace of its own, because filters of the host (`bridge-nf-call-*`) must not see tenants' frames.
"""

import fcntl
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from livia.agent.names import Names
from livia.agent.plumbing import kernel

_SYSCTLS = (
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
    # Bridges forward frames; the fabric itself is no host on any network.
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
)


class Fabric:
    """Bridges, made when first needed and removed with their last port.

    The agent and the command line use one fabric from different processes: nothing about it is remembered, and a
    lock file keeps changes apart.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._lock = Lock()
        self._lock_file = names.fabric_directory / "fabric.lock"

    @property
    def namespace(self) -> str:
        return self.names.fabric

    def open(self) -> None:
        """Make the namespace, or find it as an earlier agent left it."""
        with self._alone():
            kernel.add(self.namespace)
            kernel.inside(self.namespace, lambda: kernel.write_sysctls(_SYSCTLS))

    def close(self) -> None:
        """Remove the namespace and every bridge in it."""
        with self._alone():
            kernel.delete(self.namespace)

    def plug(self, network_id: str, inner: str, peer: str, mtu: int = 1500) -> None:
        """Make a veth pair: `inner` on the bridge of the network, and an end that `peer` describes to ip(8),
        e.g. `name eth0 netns demo`. Both ends take packets of `mtu` bytes: a bridge drops what a port is too small for.
        """
        bridge = self.names.bridge(network_id)
        with self._alone():
            lines = [] if kernel.has_link(self.namespace, bridge) else _bridge(bridge)
            lines += [
                f"link add {inner} mtu {mtu} type veth peer {peer} mtu {mtu}",
                f"link set {inner} master {bridge} up",
            ]
            kernel.batch(self.namespace, lines)

    def unplug(self, inner: Iterable[str]) -> None:
        """Remove these ports, both ends, whether or not they are there, and bridges that have none left."""
        with self._alone():
            links = self.links()
            here = {name: links.pop(name) for name in inner if name in links}
            lines = [f"link delete {name}" for name in here]
            used = set(links.values())
            idle = {bridge for bridge in here.values() if bridge and bridge not in used}
            lines += [f"link delete {bridge}" for bridge in sorted(idle)]
            kernel.batch(self.namespace, lines)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock, self._lock_file.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def links(self) -> dict[str, str]:
        """Name of each link in the fabric to the bridge it is on ('' for none)."""
        return {link["ifname"]: link.get("master", "") for link in self._listed()}

    def partners(self, numbers: Collection[int]) -> list[str]:
        """Names of the links in the fabric that have these numbers there."""
        return [link["ifname"] for link in self._listed() if link["ifindex"] in numbers]

    def _listed(self) -> list[dict[str, Any]]:
        if not kernel.exists(self.namespace):
            return []
        listed = json.loads(kernel.ip(["-n", self.namespace, "-j", "link", "show"]) or "[]")
        return [link for link in listed if "ifname" in link]


def _bridge(name: str) -> list[str]:
    # No spanning tree and no snooping: a port forwards from its first frame on.
    return [
        f"link add {name} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
        f"link set {name} up",
    ]
