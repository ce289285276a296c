"""A load balancer with listeners of every kind, and members for all of them: what the campaign changes."""

import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livia.agent.plumbing import kernel, segment
from livia.core.drivers import Network
from livia.drivers.network.local import LocalNetworks
from livia.ops import network as networks_command
from livia.ops import qos_policies, secrets
from livia.ops.up import fabric_of
from livia.pki.sockets import ClosingSocket
from tests.keymaterial import INTERMEDIATE, ROOT, Holder
from tests.load import member
from tests.load.traffic import Traffic
from tests.system.conftest import System

NAME = "www.example.net"
#: tried in turn: one may overlap with what the machine is connected to
_CIDRS = ("10.83.0.0/24", "172.30.83.0/24", "192.168.183.0/24")
MONITOR = {"delay": 1, "timeout": 1, "max_retries": 2, "max_retries_down": 2}
#: name of a pool to its protocol, the port of its members and the type of its monitor
POOLS = {
    "web": ("HTTP", member.HTTP_PORT, "HTTP"),
    "spare": ("HTTP", member.HTTP_PORT, "TCP"),
    "secure": ("HTTP", member.HTTP_PORT, "HTTP"),
    "stream": ("TCP", member.ECHO_PORT, "TCP"),
    "datagrams": ("UDP", member.ECHO_PORT, "UDP-CONNECT"),
    # It has no traffic: what ends traffic by its nature is done to it.
    "idle": ("HTTP", member.HTTP_PORT, "PING"),
}


def monitor(kind: str) -> dict[str, Any]:
    """A health monitor of a type, as POST takes it."""
    # UDP-CONNECT and SCTP are not checked more often than every three seconds (contract 40, section 3).
    return {"type": kind, **MONITOR, "delay": 3 if kind in ("UDP-CONNECT", "SCTP") else 1}


class Members:
    """Three servers on a network of their own."""

    def __init__(self, system: System) -> None:
        self._installation = system.livia.installation
        self._networks = LocalNetworks(self._installation.database(), self._installation.clock)
        self._fabric = fabric_of(self._installation)
        self.network = self._create_network()
        self._certificate = system.directory / "members.pem"
        # Where there is an authority to tell, the name that the client asked for is the one that a member must have.
        self._certificate.write_text(Holder("member", dns_names=(NAME,), issuer=ROOT).text())
        self._servers: list[subprocess.Popen[bytes]] = []
        self._namespaces: list[str] = []
        #: address by name
        self.addresses: dict[str, str] = {}

    def _create_network(self) -> Network:
        problems = []
        for cidr in _CIDRS:
            try:
                return networks_command.create(self._installation, "load", [cidr])
            except networks_command.NetworkError as error:
                problems.append(str(error))
        raise networks_command.NetworkError(" ".join(problems))

    def start(self, name: str) -> None:
        """One more server. It answers when its address is used for the first time, or soon after."""
        namespace = self._fabric.names.guest_namespace(f"load-{name}")
        self._namespaces.append(namespace)
        port = self._networks.create_port(name, self.network)
        plug = self._networks.plug(port)
        segment.plug_namespace(
            self._fabric, self.network.id, namespace, mac=plug.mac, addresses=plug.addresses, mtu=self.network.mtu
        )
        command = ["ip", "netns", "exec", namespace, sys.executable, member.__file__, name, str(self._certificate)]
        self._servers.append(subprocess.Popen(command))
        self.addresses[name] = port.fixed_ips[0].ip_address

    def close(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
        for namespace in self._namespaces:
            kernel.delete(namespace)
        self._installation.database().engine.dispose()


class Site:
    """The load balancer, and the paths of what it has by name: `pools/web`, `members/web/one`, `monitors/web`,
    `listeners/http`, `policies/to-spare`, `rules/to-spare`, `loadbalancers/main` and `loadbalancers/idle`."""

    def __init__(self, system: System, topology: str) -> None:
        self.system = system
        self.api = system.api
        self.members = Members(system)
        self.paths: dict[str, str] = {}
        try:
            for name in ("one", "two", "three"):
                self.members.start(name)
            self.authority = self._bundle(ROOT.pem)
            self.revocations = self._bundle(ROOT.revocation_list())
            self.certificates = [self._certificate(NAME) for _ in range(2)]
            self.other_name = self._certificate("other.example.net")
            self.client = Holder("client", issuer=ROOT)
            self.qos_policy = qos_policies.create(
                system.livia.installation, "generous", max_kbps=10_000_000, burst_kb=0, direction="both"
            ).id
            self._flavor_id = self._flavor(topology)
            self.create_load_balancer("main")
            self.create_load_balancer("idle")
            self._build()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.members.close()

    # -- the load balancer ---------------------------------------------------------------------------------------

    def create_load_balancer(self, name: str) -> None:
        wanted = {"name": name, "flavor_id": self._flavor_id, "vip_subnet_id": self.members.network.subnet_ids[0]}
        created = self.api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"]
        self.paths[f"loadbalancers/{name}"] = f"/loadbalancers/{created['id']}"
        self.wait(name)
        if name == "main":
            self.vip = created["vip_address"]

    def wait(self, name: str = "main") -> None:
        """Until a load balancer is ACTIVE. Raises ApiError."""
        self.api.wait_active(self.id(f"loadbalancers/{name}"))

    def create(self, known_as: str, collection: str, item: str, /, **values: Any) -> None:
        """POST to a collection; what is made is then found by the name `known_as`."""
        created = self.api.post(collection, {item: values})[item]
        self.paths[known_as] = f"{collection}/{created['id']}"

    def delete(self, name: str) -> None:
        self.api.delete(self.paths.pop(name))

    def id(self, name: str) -> str:
        return self.paths[name].rpartition("/")[2]

    def create_listener(self, name: str, protocol: str, port: int, **values: Any) -> None:
        key = self.id("loadbalancers/main")
        listener = {"loadbalancer_id": key, "protocol": protocol, "protocol_port": port}
        if protocol == "TERMINATED_HTTPS":
            listener["default_tls_container_ref"] = self.certificates[0]
        self.create(f"listeners/{name}", "/listeners", "listener", name=name, **listener, **values)

    def create_pool(self, name: str, protocol: str) -> None:
        values = {"loadbalancer_id": self.id("loadbalancers/main"), "protocol": protocol}
        self.create(f"pools/{name}", "/pools", "pool", name=name, lb_algorithm="ROUND_ROBIN", **values)

    def create_member(self, pool: str, name: str, port: int) -> None:
        path = f"{self.paths[f'pools/{pool}']}/members"
        self.create(f"members/{pool}/{name}", path, "member", **self.member(name, port))

    def member(self, name: str, port: int) -> dict[str, Any]:
        """A member, as POST and the batch take it."""
        return {"name": name, "address": self.members.addresses[name], "protocol_port": port}

    def create_monitor(self, pool: str, kind: str) -> None:
        values = {"pool_id": self.id(f"pools/{pool}"), **monitor(kind)}
        self.create(f"monitors/{pool}", "/healthmonitors", "healthmonitor", **values)

    def create_policy(self, name: str, path: str, **values: Any) -> None:
        """A policy of the HTTP listener for requests whose path begins with `path`."""
        self.create(
            f"policies/{name}", "/l7policies", "l7policy", name=name, listener_id=self.id("listeners/http"), **values
        )
        self.create_rule(name, path)

    def create_rule(self, policy: str, path: str) -> None:
        values = {"type": "PATH", "compare_type": "STARTS_WITH", "value": path}
        self.create(f"rules/{policy}", f"{self.paths[f'policies/{policy}']}/rules", "rule", **values)

    def _build(self) -> None:
        for name, (protocol, port, kind) in POOLS.items():
            self.create_pool(name, protocol)
            for each in ("one", "two"):
                self.create_member(name, each, port)
            self.create_monitor(name, kind)
        for name, protocol, port, pool in (
            ("http", "HTTP", 80, "web"),
            ("tls", "TERMINATED_HTTPS", 443, "secure"),
            ("stream", "TCP", member.ECHO_PORT, "stream"),
            ("datagrams", "UDP", member.ECHO_PORT, "datagrams"),
            ("idle", "HTTP", 8080, "idle"),
        ):
            self.create_listener(name, protocol, port, default_pool_id=self.id(f"pools/{pool}"))
        self.create_listener("metrics", "PROMETHEUS", 9100)
        # The first one moves half of the load to another pool, the second one sees none.
        self.create_policy("to-spare", "/slow", action="REDIRECT_TO_POOL", redirect_pool_id=self.id("pools/spare"))
        self.create_policy("elsewhere", "/elsewhere", action="REJECT")
        self.wait()

    def _flavor(self, topology: str) -> str:
        profile = {
            "name": topology,
            "provider_name": "amphora",
            "flavor_data": f'{{"loadbalancer_topology": "{topology}"}}',
        }
        profile_id = self.api.post("/flavorprofiles", {"flavorprofile": profile})["flavorprofile"]["id"]
        flavor = {"name": topology, "flavor_profile_id": profile_id}
        found: str = self.api.post("/flavors", {"flavor": flavor})["flavor"]["id"]
        return found

    # -- its key material ----------------------------------------------------------------------------------------

    def renew(self, reference: str) -> None:
        """What `livia secret replace` does: another certificate under the same reference."""
        self._with_file(
            _text(NAME),
            lambda path: (
                secrets.replace_material(
                    self.system.livia.installation, reference, secrets.Files(certificate=path)
                ).reference
            ),
        )

    def _certificate(self, name: str) -> str:
        return self._with_file(_text(name), lambda path: self._secret(secrets.Files(certificate=path)))

    def _bundle(self, pem: bytes) -> str:
        return self._with_file(pem, lambda path: self._secret(secrets.Files(bundle=path)))

    def _secret(self, files: secrets.Files) -> str:
        return secrets.create(self.system.livia.installation, files).reference

    def _with_file(self, content: bytes, use: Callable[[Path], str]) -> str:
        path = self.system.directory / "given.pem"
        path.write_bytes(content)
        try:
            return use(path)
        finally:
            path.unlink()

    # -- its clients ---------------------------------------------------------------------------------------------

    def traffic(self) -> Traffic:
        """Clients of it, which show a certificate when they are asked for one."""
        authority, own = (self.system.directory / name for name in ("authority.pem", "client.pem"))
        authority.write_bytes(ROOT.pem)
        own.write_text(self.client.text())
        context = ssl.create_default_context(cafile=str(authority))
        context.sslsocket_class = ClosingSocket
        context.load_cert_chain(own)
        context.set_alpn_protocols(["h2"])
        return Traffic(self.vip, context, NAME)


def _text(name: str) -> bytes:
    return Holder(name, dns_names=(name,), issuer=INTERMEDIATE).text(INTERMEDIATE).encode()
