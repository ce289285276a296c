"""Networks that Livia owns: address pools in the database, bridges on the amphora hosts (design, section 8).

The driver only books: names, addresses, MACs. The agent makes the bridge and the interface from the spec.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Self
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct
from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from livia.core.clock import Clock
from livia.core.drivers import DriverError, FixedIp, Network, Port, QosPolicy, Subnet
from livia.core.model.amphora import Amphora
from livia.core.model.load_balancer import LoadBalancer
from livia.core.spec import Plug, Route
from livia.drivers.network.addresses import book, mac, planned
from livia.drivers.network.qos import QosPolicies
from livia.store import amphorae
from livia.store import local_networks as store
from livia.store.engine import Database

#: an allocation loses against at most this many others before it gives up
_ATTEMPTS = 20
DEVICE_OWNER = "Octavia"
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


class NetworkExistsError(Exception):
    """A network with this name is there already."""


class _Booking(Struct, frozen=True):
    """A port that is wanted: who has it (an empty `device_id`: nobody yet), and of which subnets, each with an address
    or None for any that is free."""

    name: str
    device_id: str
    project_id: str | None
    network_id: str
    fixed_ips: tuple[tuple[str, str | None], ...]

    @classmethod
    def of_vip(
        cls, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Self:
        """For a VIP."""
        return cls(f"octavia-lb-{load_balancer_id}", _device_of(load_balancer_id), project_id, network_id, fixed_ips)


class LocalNetworks:
    """A NetworkDriver (`livia.core.drivers`), and what the command line needs to manage networks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.qos = QosPolicies(database, clock)

    def create(self, name: str, *cidrs: str, gateways: Sequence[str] = (), mtu: int = 1500) -> Network:
        """A network with a subnet for each CIDR. Their gateways, the first addresses unless `gateways` has one of the
        subnet, are the host's own.

        Raises ValueError for bad CIDRs or gateways, NetworkExistsError when the name is taken.
        """
        subnets = planned(cidrs, gateways)
        network_id = str(uuid5(NAMESPACE_URL, f"livia:network:{name}"))

        def insert(connection: Connection) -> None:
            now = self._clock.now()
            store.add_network(connection, network_id=network_id, name=name, mtu=mtu, now=now)
            for index, (block, gateway) in enumerate(subnets):
                store.add_subnet(
                    connection,
                    subnet_id=str(uuid5(NAMESPACE_URL, f"livia:subnet:{name}" + (f":{block}" if index else ""))),
                    name=f"{name}-{index + 1}" if index else name,
                    network_id=network_id,
                    cidr=str(block),
                    gateway=str(gateway),
                    # Subnets are listed by age: the first CIDR stays the first.
                    now=now + timedelta(microseconds=index),
                )

        try:
            self._database.transaction(insert)
        except IntegrityError as error:
            raise NetworkExistsError(f"A network named {name} exists already.") from error
        created = self.network(network_id)
        assert created is not None  # noqa: S101 - just committed
        return created

    def delete(self, network_id: str) -> None:
        """Remove a network. Raises DriverError (409) while ports are on it."""
        try:
            self._database.transaction(lambda connection: store.delete_network(connection, network_id))
        except IntegrityError as error:
            raise DriverError("The network still has ports on it.", code="in_use", status=409) from error

    def networks(self) -> tuple[Network, ...]:
        """All networks, oldest first."""
        with self._database.read() as connection:
            return tuple(self._network(connection, row) for row in store.networks(connection))

    def subnets(self) -> tuple[Subnet, ...]:
        """All subnets, oldest first."""
        with self._database.read() as connection:
            rows = [store.subnet(connection, row["id"]) for row in store.subnets(connection)]
        return tuple(_subnet(row) for row in rows if row is not None)

    def ports(self) -> tuple[Port, ...]:
        """All ports, oldest first."""
        with self._database.read() as connection:
            return tuple(_port(*found) for found in store.ports(connection))

    def network(self, network_id: str) -> Network | None:
        with self._database.read() as connection:
            row = store.network(connection, network_id)
            return None if row is None else self._network(connection, row)

    def subnet(self, subnet_id: str) -> Subnet | None:
        with self._database.read() as connection:
            row = store.subnet(connection, subnet_id)
        return None if row is None else _subnet(row)

    def port(self, port_id: str) -> Port | None:
        with self._database.read() as connection:
            found = store.ports(connection, id=port_id)
        return _port(*found[0]) if found else None

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        return self.qos.find(policy_id)

    def qos_policies(self) -> tuple[QosPolicy, ...]:
        """All QoS policies, oldest first."""
        return self.qos.every()

    def security_group_exists(self, group_id: str) -> bool:
        """Local networks have no security groups."""
        return False

    def create_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        return self._ensure(_Booking.of_vip(load_balancer_id, project_id, network_id, fixed_ips))

    def preview_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        booking = _Booking.of_vip(load_balancer_id, project_id, network_id, fixed_ips)
        with self._database.read() as connection:
            return self._new(connection, booking)

    def claim_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        device = _device_of(load_balancer_id)
        if not self._give(port_id, before="", after=device, owner=DEVICE_OWNER):
            found = self.port(port_id)
            if found is None:
                raise DriverError(f"Port {port_id} not found.", code="port_not_found", status=409)
            if found.device_id != device:
                used = f"Port {port_id} is already used by device {found.device_id}"
                raise DriverError(used, code="port_in_use", status=409)

    def release_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        self._give(port_id, before=_device_of(load_balancer_id), after="", owner="")

    def _give(self, port_id: str, *, before: str, after: str, owner: str) -> bool:
        return self._database.transaction(
            lambda connection: store.change_device(connection, port_id, before=before, after=after, owner=owner)
        )

    def ensure_amphora_port(self, load_balancer: LoadBalancer, amphora: Amphora) -> Port:
        vip = load_balancer.vip
        subnets = [vip.subnet_id, *(additional.subnet_id for additional in load_balancer.additional_vips)]
        fixed_ips = tuple((subnet_id, None) for subnet_id in subnets if subnet_id)
        name = f"octavia-lb-vrrp-{amphora.id}"
        return self._ensure(_Booking(name, amphora.id, load_balancer.project_id, vip.network_id, fixed_ips))

    def ensure_member_port(self, amphora: Amphora, subnet_id: str) -> Port:
        subnet = self.subnet(subnet_id)
        if subnet is None:
            raise DriverError(f"Subnet {subnet_id} not found.", code="subnet_not_found", status=404)
        name = f"octavia-lb-member-{amphora.id}-{subnet_id}"
        return self._ensure(_Booking(name, amphora.id, None, subnet.network_id, ((subnet_id, None),)))

    def plug(self, port: Port) -> Plug:
        network = self.network(port.network_id)
        subnets = [self.subnet(fixed.subnet_id) for fixed in port.fixed_ips]
        if network is None or not all(subnets):
            raise DriverError(f"Network {port.network_id} not found.", code="network_not_found", status=404)
        blocks = [subnet for subnet in subnets if subnet is not None]
        gateways: dict[int, str] = {}
        for subnet in blocks:
            if subnet.gateway is not None:
                gateways.setdefault(ip_address(subnet.gateway).version, subnet.gateway)
        return Plug(
            port_id=port.id,
            network_id=port.network_id,
            mac=port.mac,
            mtu=network.mtu,
            addresses=tuple(
                f"{fixed.ip_address}/{ip_network(subnet.cidr).prefixlen}"
                for fixed, subnet in zip(port.fixed_ips, blocks, strict=True)
            ),
            gateway=next(iter(gateways.values()), None),
            routes=tuple(
                Route(destination=_EVERYWHERE[version], nexthop=gateway)
                for version, gateway in list(gateways.items())[1:]
            ),
        )

    def delete_port(self, port_id: str) -> None:
        self._database.transaction(lambda connection: store.delete_port(connection, port_id))

    def delete_idle_port(self, port_id: str) -> None:
        """Remove a port of the user's. Raises DriverError (409) while something uses it."""

        def remove(connection: Connection) -> bool:
            # Taken first: a load balancer that claims it meanwhile finds it used.
            idle = store.change_device(connection, port_id, before="", after="deleted", owner="")
            if idle:
                store.delete_port(connection, port_id)
            return idle

        if not self._database.transaction(remove):
            raise DriverError("The port is in use.", code="port_in_use", status=409)

    def ports_of(self, device_id: str) -> tuple[Port, ...]:
        with self._database.read() as connection:
            return tuple(_port(*found) for found in store.ports(connection, device_id=device_id))

    def create_port(self, name: str, network: Network, addresses: Sequence[str] = ()) -> Port:
        """A port that nobody uses yet, for a VIP to be given later: with these addresses, or one of the first subnet.

        Raises DriverError, also (409) when the name or an address is taken.
        """
        blocks = [(subnet_id, subnet) for subnet_id in network.subnet_ids if (subnet := self.subnet(subnet_id))]
        wanted: list[tuple[str, str | None]] = []
        for address in addresses:
            on = next((key for key, subnet in blocks if ip_address(address) in ip_network(subnet.cidr)), None)
            if on is None:
                raise DriverError(f"{address} is not an address of network {network.name}.", status=400)
            wanted.append((on, address))
        with self._database.read() as connection:
            if store.ports(connection, name=name):
                raise DriverError(f"A port named {name} exists already.", code="port_exists", status=409)
        fixed_ips = tuple(wanted) or ((network.subnet_ids[0], None),)
        return self._ensure(_Booking(name, "", None, network.id, fixed_ips))

    def ensure_port(self, name: str, network_id: str, subnet_id: str) -> Port:
        """A port for something that is no amphora, e.g. a backend of the demo; found again by its name."""
        return self._ensure(_Booking(name, name, None, network_id, ((subnet_id, None),)))

    def _ensure(self, booking: _Booking) -> Port:
        for _attempt in range(_ATTEMPTS):
            with suppress(IntegrityError):
                return self._database.transaction(lambda connection: self._find_or_book(connection, booking))
        raise DriverError(f"Addresses are being taken faster than port {booking.name} could get one.", status=503)

    def _find_or_book(self, connection: Connection, booking: _Booking) -> Port:
        found = store.ports(connection, name=booking.name)
        if found:
            return _port(*found[0])
        if amphorae.is_gone(connection, booking.device_id):
            # Asked for before it was removed, by a worker that lost its lease meanwhile and does not know yet.
            raise DriverError(f"Amphora {booking.device_id} is gone: it gets no port.", code="amphora_gone", status=409)
        port = self._new(connection, booking)
        values: dict[str, object] = {
            "id": port.id,
            "name": port.name,
            "network_id": port.network_id,
            "mac": port.mac,
            "device_id": port.device_id,
            "device_owner": port.device_owner,
            "project_id": port.project_id,
            "created_at": self._clock.now(),
        }
        store.add_port(connection, values, [(each.subnet_id, each.ip_address) for each in port.fixed_ips])
        return port

    @staticmethod
    def _new(connection: Connection, booking: _Booking) -> Port:
        """A port with addresses that are free now."""
        booked = [book(connection, subnet_id, wanted) for subnet_id, wanted in booking.fixed_ips]
        return Port(
            id=str(uuid5(NAMESPACE_URL, f"livia:port:{booking.name}")),
            name=booking.name,
            network_id=booking.network_id,
            mac=mac(booking.network_id, booked[0][1] if booked else booking.name),
            fixed_ips=tuple(FixedIp(subnet_id=subnet_id, ip_address=address) for subnet_id, address in booked),
            device_id=booking.device_id,
            device_owner=DEVICE_OWNER if booking.device_id else "",
            project_id=booking.project_id,
        )

    @staticmethod
    def _network(connection: Connection, row: RowMapping) -> Network:
        return Network(
            id=row["id"],
            name=row["name"],
            mtu=row["mtu"],
            subnet_ids=tuple(each["id"] for each in store.subnets_of(connection, row["id"])),
            project_id=row["project_id"],
        )


def _device_of(load_balancer_id: str) -> str:
    return f"lb-{load_balancer_id}"


def _subnet(row: RowMapping) -> Subnet:
    block = ip_network(row["cidr"])
    reserved = 3 if row["gateway"] else 2
    return Subnet(
        id=row["id"],
        network_id=row["network_id"],
        cidr=row["cidr"],
        gateway=row["gateway"],
        free=max(0, block.num_addresses - reserved - row["used"]),
        name=row["name"],
    )


def _port(row: RowMapping, addresses: list[RowMapping]) -> Port:
    return Port(
        id=row["id"],
        name=row["name"],
        network_id=row["network_id"],
        mac=row["mac"],
        fixed_ips=tuple(FixedIp(subnet_id=each["subnet_id"], ip_address=each["ip_address"]) for each in addresses),
        device_id=row["device_id"],
        device_owner=row["device_owner"],
        project_id=row["project_id"],
    )
