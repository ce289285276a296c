"""Which protocols go together, and which listeners share a port (contract 20, sections 5 and 6)."""

from collections.abc import Iterable

from livia.core.rules.verdict import ACCEPT, Refuse, Verdict, invalid

_TCP_FAMILY = frozenset({"TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS"})

#: listener protocol to the pool protocols it can send traffic to
POOLS_OF = {
    "TCP": frozenset({"HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"}),
    "HTTP": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "HTTPS": frozenset({"HTTPS", "PROXY", "PROXYV2", "TCP"}),
    "TERMINATED_HTTPS": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "UDP": frozenset({"UDP"}),
    "SCTP": frozenset({"SCTP"}),
    "PROMETHEUS": frozenset[str](),
}


def family(protocol: str) -> str:
    """The layer 4 protocol whose ports the listener uses."""
    return "TCP" if protocol in _TCP_FAMILY else protocol


def port_is_free(protocol: str, port: int, others: Iterable[tuple[str, int]]) -> Verdict:
    """`others`: (protocol, port) of the load balancer's other listeners that are not being deleted."""
    for other, used in others:
        if used == port and family(other) == family(protocol):
            return Refuse(
                409,
                f"Another Listener on this Load Balancer is already using protocol {other} and protocol_port {port}",
            )
    return ACCEPT


def no_children(listener_protocol: str) -> Verdict:
    """A PROMETHEUS listener answers by itself and has neither pool nor policy."""
    if listener_protocol == "PROMETHEUS":
        return Refuse(400, "Protocol PROMETHEUS listeners cannot have child objects.")
    return ACCEPT


def pool_fits_listener(pool_protocol: str, listener_protocol: str) -> Verdict:
    """Whether the listener can send traffic to such a pool."""
    if pool_protocol in POOLS_OF[listener_protocol]:
        return ACCEPT
    return invalid(
        f"The pool protocol '{pool_protocol}' is invalid while the listener protocol is '{listener_protocol}'."
    )
