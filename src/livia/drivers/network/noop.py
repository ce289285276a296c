"""Networks that cost nothing: for tests and benchmarks of everything above them."""

from ipaddress import ip_address
from uuid import NAMESPACE_URL, uuid5

from livia.core.drivers import FixedIp, Network, Port, QosPolicy, Subnet
from livia.core.model.amphora import Amphora
from livia.core.model.load_balancer import LoadBalancer
from livia.core.spec import Plug

#: of TEST-NET-2 (RFC 5737)
DEFAULT_ADDRESS = "198.51.100.1"
#: addresses that every subnet always has
_FREE = 200
#: whatever address is asked for fits
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
#: the IPv6 subnet of every network; all other subnets are IPv4
_IPV6_SUBNET = str(uuid5(NAMESPACE_URL, "livia:noop:subnet:6"))


class _EverySubnet(tuple[str, ...]):
    """The subnets of a network that has whatever subnet one asks about."""

    __slots__ = ()

    def __contains__(self, _subnet_id: object) -> bool:
        return True


def _made(*names: str) -> str:
    return str(uuid5(NAMESPACE_URL, ":".join(("livia", "noop", *names))))


class NoopNetworks:
    """A NetworkDriver that knows every network, subnet, port, QoS policy and security group by whatever id.

    Subnets named without a network are all on one. A port has no owner and no addresses. An address that is not asked
    for is DEFAULT_ADDRESS, and those after it. Nothing is remembered: the same question has the same answer.
    """

    def network(self, network_id: str) -> Network | None:
        subnets = _EverySubnet((_made("subnet", network_id), _IPV6_SUBNET))
        return Network(id=network_id, name=f"network-{network_id}", mtu=1500, subnet_ids=subnets)

    def subnet(self, subnet_id: str) -> Subnet | None:
        cidr = _EVERYWHERE[6 if subnet_id == _IPV6_SUBNET else 4]
        return Subnet(id=subnet_id, network_id=_made("network"), cidr=cidr, free=_FREE)

    def port(self, port_id: str) -> Port | None:
        return self._port(port_id, f"port-{port_id}", _made("network"), ())

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        return QosPolicy(id=policy_id, name=f"qos-{policy_id}", limits=())

    def security_group_exists(self, group_id: str) -> bool:
        return True

    def create_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        return self.preview_vip_port(load_balancer_id, project_id, network_id, fixed_ips)

    def preview_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        name = f"octavia-lb-{load_balancer_id}"
        return self._port(_made("port", name), name, network_id, fixed_ips)

    def claim_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        """Nothing is held."""

    def release_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        """Nothing is held."""

    def ensure_amphora_port(self, load_balancer: LoadBalancer, amphora: Amphora) -> Port:
        name = f"octavia-lb-vrrp-{amphora.id}"
        vip = load_balancer.vip
        return self._port(_made("port", name), name, vip.network_id, ((vip.subnet_id or _made("subnet"), None),))

    def ensure_member_port(self, amphora: Amphora, subnet_id: str) -> Port:
        name = f"octavia-lb-member-{amphora.id}-{subnet_id}"
        return self._port(_made("port", name), name, _made("network"), ((subnet_id, None),))

    def plug(self, port: Port) -> Plug:
        addresses = tuple(f"{fixed.ip_address}/24" for fixed in port.fixed_ips)
        return Plug(
            port_id=port.id, network_id=port.network_id, mac=port.mac, mtu=1500, addresses=addresses, gateway=None
        )

    def delete_port(self, port_id: str) -> None:
        """Nothing is held."""

    def ports_of(self, device_id: str) -> tuple[Port, ...]:
        return ()

    @staticmethod
    def _port(port_id: str, name: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]) -> Port:
        fixed = tuple(
            FixedIp(subnet_id=subnet_id, ip_address=address or str(ip_address(DEFAULT_ADDRESS) + number))
            for number, (subnet_id, address) in enumerate(fixed_ips)
        )
        return Port(id=port_id, name=name, network_id=network_id, mac="02:00:00:00:00:01", fixed_ips=fixed)
