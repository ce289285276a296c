"""Around the load balancers: members and clients with several addresses of both IP versions, and a user of the API."""

import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Self

from livia.agent.plumbing import kernel, segment
from livia.core.drivers import Network
from livia.drivers.network.local import LocalNetworks
from livia.ops import network as networks_command
from livia.ops import secrets
from livia.ops.up import fabric_of
from tests.agent.members import HttpServer, Request, Response, Stream, answer, request, response
from tests.keymaterial import Holder
from tests.system.conftest import System
from tests.waiting import wait_for

_PREFIX = "livia-test-attributes"
#: addresses in each of the two namespaces
_MEMBERS, _CLIENTS = 4, 6


class Place:
    """A namespace on the network with several addresses of each IP version."""

    def __init__(self, name: str, count: int, network: Network, networks: LocalNetworks, system: System) -> None:
        self.namespace = f"{_PREFIX}-{name}"
        wanted = tuple((subnet_id, None) for subnet_id in network.subnet_ids)
        ports = [networks.create_vip_port(f"{name}-{number}", "project", network.id, wanted) for number in range(count)]
        plugs = [networks.plug(port) for port in ports]
        fixed = [each.ip_address for port in ports for each in port.fixed_ips]
        self.ipv4 = [address for address in fixed if ":" not in address]
        self.ipv6 = [address for address in fixed if ":" in address]
        segment.plug_namespace(
            fabric_of(system.livia.installation),
            network.id,
            self.namespace,
            mac=plugs[0].mac,
            addresses=tuple(address for plug in plugs for address in plug.addresses),
            mtu=network.mtu,
        )


class Member:
    """An HTTP server at an address of its own that can die and come back. It answers with its name."""

    def __init__(self, place: Place, number: int, port: int = 80) -> None:
        self.name = f"member-{number}"
        self.address = place.ipv4[number]
        self.port = port
        self._place = place
        self._server: HttpServer | None = None
        self.start()

    def start(self) -> None:
        self._server = HttpServer(self._place.namespace, self.port, self._reply, host=self.address)

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reply(self, stream: Stream, asked: Request) -> None:
        text = self.name
        if asked.target.startswith("/echo"):
            text = "\n".join((text, *(f"{name}: {value}" for name, value in asked.headers.items())))
        if asked.target == "/login":
            stream.socket.sendall(answer(text, Set_Cookie=f"JSESSIONID=of-{self.name}"))
            return
        stream.socket.sendall(answer(text))

    def body(self, **values: Any) -> dict[str, Any]:
        """The member as the API is told it."""
        return {"name": self.name, "address": self.address, "protocol_port": self.port, **values}


class UdpMember:
    """Answers datagrams with its name, at the address of a member."""

    def __init__(self, place: Place, number: int, port: int = 53) -> None:
        self.name = f"member-{number}"
        self._address = (place.ipv4[number], port)
        self._place = place
        self.start()

    def start(self) -> None:
        def opened() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(self._address)
            return made

        self._socket = kernel.inside(self._place.namespace, opened)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                data, client = self._socket.recvfrom(65536)
                if not data:
                    return
                self._socket.sendto(self.name.encode() + b" " + data, client)

    def stop(self) -> None:
        def wake() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", self._address)

        kernel.inside(self._place.namespace, wake)
        self._thread.join()
        self._socket.close()

    def body(self, **values: Any) -> dict[str, Any]:
        return {"name": self.name, "address": self._address[0], "protocol_port": self._address[1], **values}


class Site:
    """A network, members and clients on it, key material in the vault, and flavors."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.api = system.api
        self.installation = system.livia.installation
        self.directory = Path(tempfile.mkdtemp(prefix="given-", dir=system.directory))
        self.network = networks_command.create(self.installation, "attributes", ["10.85.0.0/24", "fd00:85::/64"])
        self.networks = LocalNetworks(self.installation.database(), self.installation.clock)
        self.subnets = self.network.subnet_ids
        self.inside = Place("members", _MEMBERS, self.network, self.networks, system)
        self.outside = Place("clients", _CLIENTS, self.network, self.networks, system)
        self.members = [Member(self.inside, number) for number in range(3)]
        profile = {"name": "one", "provider_name": "amphora", "flavor_data": '{"loadbalancer_topology": "SINGLE"}'}
        profile_id = self.api.post("/flavorprofiles", {"flavorprofile": profile})["flavorprofile"]["id"]
        flavor = {"name": "one", "flavor_profile_id": profile_id}
        self.single = self.api.post("/flavors", {"flavor": flavor})["flavor"]["id"]
        self._references: dict[bytes, str] = {}

    def close(self) -> None:
        for member in self.members:
            member.stop()
        for place in (self.inside, self.outside):
            kernel.delete(place.namespace)
        self.installation.database().engine.dispose()

    # -- key material ------------------------------------------------------------------------------------------

    def keyed(self, holder: Holder, *chain: Holder) -> str:
        """The reference of a certificate with its key."""
        return self._kept(holder.text(*chain).encode(), "certificate")

    def bundle(self, pem: bytes) -> str:
        """The reference of CA certificates or of a revocation list."""
        return self._kept(pem, "bundle")

    def _kept(self, pem: bytes, use: str) -> str:
        if pem not in self._references:
            given = self.directory / "given.pem"
            given.write_bytes(pem)
            files = secrets.Files(**{use: given})
            self._references[pem] = secrets.create(self.installation, files).reference
        return self._references[pem]

    # -- load balancers ----------------------------------------------------------------------------------------

    def create(self, name: str, *, pair: bool = False, both: bool = False, **values: Any) -> "Balancer":
        """A load balancer, not waited for. `pair`: ACTIVE_STANDBY; `both`: with VIPs of both IP versions."""
        wanted: dict[str, Any] = {"name": name, "vip_subnet_id": self.subnets[0], **values}
        if both:
            wanted["additional_vips"] = [{"subnet_id": self.subnets[1]}]
        if not pair:
            wanted["flavor_id"] = self.single
        return Balancer(self, self.api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"])

    def web(self, name: str, pool: Mapping[str, Any] | None = None, **listener: Any) -> "Balancer":
        """An HTTP load balancer over the members; what is given overrides."""
        whole = self.pool(**(pool or {}))
        wanted = {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": whole, **listener}
        return self.create(name, listeners=[wanted])

    def pool(self, **values: Any) -> dict[str, Any]:
        """A pool of the members for a request."""
        return {
            "name": "members",
            "protocol": "HTTP",
            "lb_algorithm": "ROUND_ROBIN",
            "members": [each.body() for each in self.members],
            **values,
        }


class Balancer:
    """A load balancer as its user has it."""

    def __init__(self, site: Site, created: dict[str, Any]) -> None:
        self.site = site
        self.api = site.api
        self.id: str = created["id"]
        self.vip: str = created["vip_address"]
        self.created = created
        more = created["additional_vips"]
        self.vip6: str = more[0]["ip_address"] if more else ""

    def __enter__(self) -> Self:
        self.wait()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Gone before the next test counts on quiet; its end is not waited for."""
        self.api.delete(f"/loadbalancers/{self.id}?cascade=true")

    def wait(self) -> Self:
        self.api.wait_active(self.id)
        return self

    # -- changes -----------------------------------------------------------------------------------------------

    def add(self, path: str, item: str, **values: Any) -> dict[str, Any]:
        """POST an object; the answer, once the load balancer is ACTIVE."""
        made: dict[str, Any] = self.api.post(path, {item: values})[item]
        self.wait()
        return made

    def listener(self, protocol: str, port: int, **values: Any) -> str:
        """A further listener; its id."""
        given = {"loadbalancer_id": self.id, "protocol": protocol, "protocol_port": port, **values}
        return str(self.add("/listeners", "listener", **given)["id"])

    def put(self, path: str, **values: Any) -> None:
        """Change an object, and wait until the load balancer is ACTIVE."""
        item = {"listeners": "listener", "pools": "pool", "healthmonitors": "healthmonitor", "l7policies": "l7policy"}
        kind = "member" if "/members/" in path else item.get(path.split("/")[1], "loadbalancer")
        self.api.put(path, {kind: values})
        self.wait()

    def set_listener(self, **values: Any) -> None:
        self.put(f"/listeners/{self.first('listeners')}", **values)

    def set_pool(self, **values: Any) -> None:
        self.put(f"/pools/{self.first('pools')}", **values)

    def member_id(self, name: str) -> str:
        listed = self.api.get(f"/pools/{self.first('pools')}/members?name={name}")["members"]
        return str(listed[0]["id"])

    def set_member(self, name: str, **values: Any) -> None:
        self.put(f"/pools/{self.first('pools')}/members/{self.member_id(name)}", **values)

    def first(self, kind: str) -> str:
        return str(self.created[kind][0]["id"])

    # -- statuses ----------------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        """Operating status by name, of the load balancer (`lb`) and of everything in its status tree."""
        found: dict[str, str] = {}

        def collect(item: dict[str, Any], name: str) -> None:
            found[name] = item["operating_status"]
            for kind in ("listeners", "pools", "members"):
                for each in item.get(kind, ()):
                    collect(each, each["name"])
            if item.get("health_monitor"):
                collect(item["health_monitor"], "monitor")

        collect(self.api.get(f"/loadbalancers/{self.id}/status")["statuses"]["loadbalancer"], "lb")
        return found

    def becomes(self, **wanted: str) -> None:
        """Wait for operating statuses; underscores stand for hyphens in names."""
        expected = {name.replace("_", "-"): status for name, status in wanted.items()}

        def there() -> bool:
            found = self.statuses()
            return all(found.get(name) == status for name, status in expected.items())

        try:
            wait_for(there, 30, "")
        except AssertionError:
            raise AssertionError(f"expected {expected}, found {self.statuses()}") from None

    # -- traffic -----------------------------------------------------------------------------------------------

    def ask(self, target: str = "/", *lines: str, port: int = 80, source: int = 0, vip: str = "") -> Response:
        """One request from the clients' address number `source`; status 0 when it is not answered."""
        try:
            with self.connect(port, source=source, vip=vip) as stream:
                stream.socket.sendall(request(*lines, "Connection: close", target=target))
                return response(stream)
        except (OSError, EOFError):
            return Response(0)

    def connect(self, port: int = 80, *, source: int = 0, vip: str = "") -> Stream:
        """A connection from the clients' address number `source`. Raises OSError."""
        to = vip or self.vip
        places = self.site.outside.ipv6 if ":" in to else self.site.outside.ipv4
        namespace = self.site.outside.namespace
        own = (places[source], 0)
        return Stream(kernel.inside(namespace, lambda: socket.create_connection((to, port), 5.0, own)))

    def who(self, target: str = "/", *lines: str, port: int = 80, source: int = 0, vip: str = "") -> str:
        """The member that answers; the status where none does."""
        got = self.ask(target, *lines, port=port, source=source, vip=vip)
        return got.body.decode().split("\n")[0] if got.status == 200 else str(got.status)

    def datagram(self, port: int, *, source: int = 0, source_port: int = 0, text: bytes = b"x") -> str | None:
        """The member that answers a datagram of a flow of its own; '' when there is nobody, None for silence."""
        own = (self.site.outside.ipv4[source], source_port)

        def opened() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(own)
            return made

        with kernel.inside(self.site.outside.namespace, opened) as client:
            client.settimeout(2.0)
            client.connect((self.vip, port))
            try:
                client.send(text)
                return client.recv(65536).partition(b" ")[0].decode()
            except ConnectionRefusedError:
                return ""
            except TimeoutError:
                return None

    def serves(self, wanted: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        wait_for(wanted, seconds, what)
