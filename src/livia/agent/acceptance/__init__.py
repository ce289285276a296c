"""What a spec must be like before any of it is acted on. Everything a tenant can set passes here."""

from livia.agent.acceptance.fields import address, between, unique
from livia.agent.acceptance.listener import check_listener
from livia.agent.acceptance.place import check_interface
from livia.agent.acceptance.pool import check_pool
from livia.agent.acceptance.tls import check_listener_tls, check_material, check_pool_tls
from livia.agent.errors import InvalidSpecError
from livia.agent.names import checked_id
from livia.core.rules.protocols import family
from livia.core.spec import SPEC_VERSION, Spec

__all__ = ["check", "check_material"]


def check(spec: Spec) -> None:
    """Raises InvalidSpecError with a sentence that names what cannot be."""
    if spec.version != SPEC_VERSION:
        raise InvalidSpecError(f"This agent reads specs of version {SPEC_VERSION}, not {spec.version}.")
    checked_id(spec.amphora_id, "amphora id")
    checked_id(spec.load_balancer_id, "load balancer id")
    for interface in spec.interfaces:
        check_interface(interface)
    for vip in spec.vips:
        address(vip.address, "VIP")
        if vip.interface not in {interface.name for interface in spec.interfaces}:
            raise InvalidSpecError(f"The VIP {vip.address} is on {vip.interface!r}, which the spec does not have.")
    for peer in spec.peers:
        checked_id(peer.amphora_id, "peer's amphora id")
        address(peer.address, "peer address")
        between(peer.port, 1, 65535, "peer port")
    pools = {pool.id for pool in spec.pools}
    for listener in spec.listeners:
        check_listener(listener, pools)
        check_listener_tls(listener)
    for pool in spec.pools:
        check_pool(pool)
        check_pool_tls(pool)
    unique("listener", (each.id for each in spec.listeners))
    unique("listener port", (f"{each.port}/{family(each.protocol)}" for each in spec.listeners))
    unique("pool", (each.id for each in spec.pools))
    unique("interface", (each.name for each in spec.interfaces))
