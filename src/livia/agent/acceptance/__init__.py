"""What a spec must be like before any of it is acted on. Everything a tenant can set passes here."""

from livia.agent.acceptance.fields import address, between, unique
from livia.agent.acceptance.listener import check_listener
from livia.agent.acceptance.place import check_interface
from livia.agent.acceptance.pool import check_pool
from livia.agent.acceptance.tls import check_listener_tls, check_material, check_pool_tls
from livia.agent.errors import InvalidSpecError
from livia.agent.names import checked_id
from livia.core.rules.protocols import family
from livia.core.spec import SPEC_VERSION, Spec, is_stick_size

__all__ = ["check", "check_material"]


def check(spec: Spec, accepted: Spec | None = None) -> None:
    """Raises InvalidSpecError with a sentence that names what cannot be. `accepted` has passed before: members that
    are in it as they are here are most of a spec, and not looked at again."""
    # What an earlier version did not say has a default: agents are upgraded before their controllers.
    if not 1 <= spec.version <= SPEC_VERSION:
        raise InvalidSpecError(f"This agent reads specs up to version {SPEC_VERSION}, not {spec.version}.")
    checked_id(spec.amphora_id, "amphora id")
    checked_id(spec.load_balancer_id, "load balancer id")
    if not is_stick_size(spec.stick_size):
        raise InvalidSpecError(f"{spec.stick_size[:80]!r} is no number of entries of a stick table.")
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
    known = {pool.id: pool.members for pool in accepted.pools} if accepted is not None else {}
    for pool in spec.pools:
        check_pool(pool, known.get(pool.id, ()))
        check_pool_tls(pool)
    unique("listener", (each.id for each in spec.listeners))
    unique("listener port", (f"{each.port}/{family(each.protocol)}" for each in spec.listeners))
    unique("pool", (each.id for each in spec.pools))
    unique("interface", (each.name for each in spec.interfaces))
