"""A network service that knows what it is told: a real driver on a list, for the rows of contract 10, section 4."""

from collections.abc import Iterable

from livia.core.drivers import DriverError, FixedIp, Network, Port, QosPolicy, Subnet
from livia.drivers.network.noop import NoopNetworks

NET, OTHER_NET, EMPTY_NET, SMALL_NET = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3, 4))
V4, V6, SECOND, FOREIGN, SMALL = (f"{n}1111111-1111-4111-8111-111111111111" for n in (1, 2, 3, 4, 5))
PORT, USED_PORT, TWO_ADDRESSES = (f"{n}2222222-2222-4222-8222-222222222222" for n in (1, 2, 3))
QOS, PORT_QOS, GROUP = (f"{n}3333333-3333-4333-8333-333333333333" for n in (1, 2, 3))
MISSING = "99999999-9999-4999-8999-999999999999"


def _port(port_id: str, addresses: Iterable[tuple[str, str]], device_id: str = "") -> Port:
    fixed = tuple(FixedIp(subnet_id=subnet, ip_address=address) for subnet, address in addresses)
    return Port(
        id=port_id,
        name="",
        network_id=NET,
        mac="02:00:00:00:00:01",
        fixed_ips=fixed,
        device_id=device_id,
        qos_policy_id=PORT_QOS if port_id == PORT else None,
    )


class ListedNetworks(NoopNetworks):
    """Networks, subnets and ports as listed; remembers which VIP ports it made and which were deleted."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.deleted: list[str] = []
        self._networks = {
            NET: Network(id=NET, name="net", mtu=1500, subnet_ids=(V6, V4, SECOND)),
            OTHER_NET: Network(id=OTHER_NET, name="other", mtu=1500, subnet_ids=(FOREIGN,), port_security=False),
            EMPTY_NET: Network(id=EMPTY_NET, name="empty", mtu=1500, subnet_ids=()),
            SMALL_NET: Network(id=SMALL_NET, name="small", mtu=1500, subnet_ids=(SMALL,)),
        }
        self._subnets = {
            V4: Subnet(id=V4, network_id=NET, cidr="10.1.0.0/24", free=100),
            V6: Subnet(id=V6, network_id=NET, cidr="2001:db8:1::/64", free=100),
            SECOND: Subnet(id=SECOND, network_id=NET, cidr="10.2.0.0/24", free=100),
            FOREIGN: Subnet(id=FOREIGN, network_id=OTHER_NET, cidr="10.3.0.0/24", free=100),
            SMALL: Subnet(id=SMALL, network_id=SMALL_NET, cidr="10.4.0.0/30", free=1),
        }
        self._ports = {
            PORT: _port(PORT, [(V4, "10.1.0.50")]),
            USED_PORT: _port(USED_PORT, [(V4, "10.1.0.51")], "vm-1"),
            TWO_ADDRESSES: _port(TWO_ADDRESSES, [(V4, "10.1.0.52"), (V6, "2001:db8:1::52")]),
        }

    def network(self, network_id: str) -> Network | None:
        return self._networks.get(network_id)

    def subnet(self, subnet_id: str) -> Subnet | None:
        return self._subnets.get(subnet_id)

    def port(self, port_id: str) -> Port | None:
        return self._ports.get(port_id)

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        return super().qos_policy(policy_id) if policy_id in (QOS, PORT_QOS) else None

    def security_group_exists(self, group_id: str) -> bool:
        return group_id == GROUP

    def create_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        port = self.preview_vip_port(load_balancer_id, project_id, network_id, fixed_ips)
        self.made.append(port.id)
        return port

    def preview_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        addresses = []
        for subnet_id, asked in fixed_ips:
            if asked == "10.1.0.99":
                raise DriverError(f"The VIP IP address is already in use: {asked}", status=409)
            addresses.append(
                (subnet_id, asked or self._subnets[subnet_id].cidr.replace("0/24", "7").replace("/64", "7"))
            )
        return _port(f"port-{load_balancer_id}"[:36], addresses)

    def delete_port(self, port_id: str) -> None:
        self.deleted.append(port_id)
