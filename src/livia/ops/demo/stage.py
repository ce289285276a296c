"""The demo's stage: a local network, and web servers in namespaces of their own on it."""

import os
import signal
import subprocess
import sys
from ipaddress import ip_network

from livia.agent.plumbing import kernel, segment
from livia.core.drivers import Network, Subnet
from livia.drivers.network.local import LocalNetworks
from livia.ops import network as networks_command
from livia.ops.services import Installation
from livia.ops.up import fabric_of

NETWORK = "demo"
#: tried in turn: one may overlap with what the machine is connected to
_CIDRS = ("10.77.0.0/24", "172.30.77.0/24", "192.168.177.0/24")
BACKEND_PORT = 8080


class Stage:
    """Everything around the load balancer. `close` removes the web servers and their namespaces."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._networks = LocalNetworks(installation.database(), installation.clock)
        self._fabric = fabric_of(installation)
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        #: name to address of every web server started
        self.addresses: dict[str, str] = {}
        self.network = self._ensure_network()
        subnet = self._networks.subnet(self.network.subnet_ids[0])
        assert subnet is not None  # noqa: S101 - made together with its network
        self.subnet: Subnet = subnet

    def _ensure_network(self) -> Network:
        for network in self._networks.networks():
            if network.name == NETWORK:
                return network
        problems = []
        for cidr in _CIDRS:
            try:
                return networks_command.create(self._installation, NETWORK, [cidr])
            except networks_command.NetworkError as error:
                problems.append(str(error))
        raise networks_command.NetworkError(" ".join(problems))

    def start_backend(self, name: str) -> str:
        """A web server that says `name`, in a namespace of its own, and takes connections by now; its address."""
        namespace = self.namespace(name)
        port = self._networks.ensure_port(namespace, self.network.id, self.subnet.id)
        address = port.fixed_ips[0].ip_address
        self._unplug(namespace)
        segment.plug_namespace(
            self._fabric,
            self.network.id,
            namespace,
            mac=port.mac,
            addresses=(f"{address}/{ip_network(self.subnet.cidr).prefixlen}",),
            gateway=self.subnet.gateway,
        )
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "livia.ops.demo.backend"]
        server = subprocess.Popen(
            [*command, name, address, str(BACKEND_PORT)], start_new_session=True, stdout=subprocess.PIPE
        )
        self._servers[name] = server
        assert server.stdout is not None  # noqa: S101 - asked for above
        with server.stdout as said:
            # Who uses it at once would be refused.
            said.readline()
        self.addresses[name] = address
        return address

    def namespace(self, name: str) -> str:
        """The network namespace of a web server."""
        return self._fabric.names.guest_namespace(f"demo-{name}")

    def close(self) -> None:
        """End the web servers; remove their namespaces and ports."""
        for name, server in self._servers.items():
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            namespace = self.namespace(name)
            self._unplug(namespace)
            for port in self._networks.ports_of(namespace):
                self._networks.delete_port(port.id)
        self._servers.clear()

    def _unplug(self, namespace: str) -> None:
        segment.unplug_namespace(self._fabric, self.network.id, namespace)
        kernel.delete(namespace)
