"""What is told of UDP and SCTP listeners and their pools (contract 95, section 2). Pure."""

from collections.abc import Mapping

from livia.agent.datagram.service import Service, Verdicts, mark_of, services
from livia.agent.meter import Reading
from livia.core.report import PoolReport
from livia.core.spec import MemberSpec, Spec

#: flows of an amphora that are counted one by one; of more these are a sample, right to 1 % of all flows
MOST_COUNTED = 8192


def readings(spec: Spec, counters: Mapping[str, tuple[int, int]]) -> dict[str, Reading]:
    """Counters by listener: bytes that clients and members sent, without headers, and flows.

    HAProxy counts no headers either. IP options and extension headers, which hardly anybody sends, are counted.
    """
    total: dict[str, Reading] = {}
    for service in services(spec):
        header = service.family.header + service.transport.header
        flows, _bytes = counters.get(f"new-{service.listener.id}", (0, 0))
        before = total.get(service.listener.id, Reading(0, 0, flows, 0))
        received = _payload(counters.get(service.name("in"), (0, 0)), header)
        sent = _payload(counters.get(service.name("out"), (0, 0)), header)
        total[service.listener.id] = before.plus(Reading(sent, received, 0, 0))
    return total


def _payload(counted: tuple[int, int], header: int) -> int:
    packets, octets = counted
    return octets - packets * header


def open_flows(spec: Spec, flows: Mapping[int, int]) -> dict[str, int]:
    """How many flows each listener has."""
    found: dict[str, int] = {}
    for service in services(spec):
        count = sum(flows.get(mark_of(service.listener, member), 0) for member in service.members)
        found[service.listener.id] = found.get(service.listener.id, 0) + count
    return found


def statuses(spec: Spec, connections: Mapping[str, int], *, full: bool) -> dict[str, str]:
    """FULL or OPEN, by listener. `full`: the kernel itself takes no new flows."""
    return {
        listener.id: "FULL" if full or _reached(listener.connection_limit, connections.get(listener.id, 0)) else "OPEN"
        for listener in spec.listeners
        if listener.datagram
    }


def _reached(limit: int, count: int) -> bool:
    # What is not counted to the last must not make a listener that is full look open now and then.
    doubt = limit // 50 if limit > MOST_COUNTED else 0
    return 0 < limit <= count + doubt


def pools(spec: Spec, verdicts: Verdicts) -> dict[str, PoolReport]:
    """Reports by `{pool}:{listener}`. A pool is down when it is checked and no member can have flows, but not one that
    has no members yet, as in HAProxy."""
    members: dict[str, dict[str, str]] = {}
    takers: dict[str, bool] = {}
    for service in services(spec):
        if service.pool is None:
            continue
        name = f"{service.pool.id}:{service.listener.id}"
        told = members.setdefault(name, {})
        for member in service.members:
            told[member.id] = _text(service, member, verdicts)
        takers[name] = takers.get(name, service.pool.monitor is None or not service.pool.members) or any(
            text.startswith(("UP", "DRAIN", "no check")) for text in told.values()
        )
    return {name: PoolReport(status="UP" if takers[name] else "DOWN", members=told) for name, told in members.items()}


def _text(service: Service, member: MemberSpec, verdicts: Verdicts) -> str:
    if not member.enabled:
        return "MAINT"
    verdict = (verdicts.text(service.pool.id, member.id) if service.pool is not None else None) or "no check"
    return "DRAIN" if member.weight == 0 and not verdict.startswith("DOWN") else verdict
