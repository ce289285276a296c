"""All packet rules of an amphora. Pure."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_interface

from livia.agent.datagram import choice, guard
from livia.agent.datagram.choice import Candidate
from livia.agent.datagram.service import AWAITED, Service, Verdicts, families, mark_of, services
from livia.agent.datagram.table import Ruleset
from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, MemberSpec, Spec

#: seconds that a flow without any traffic is kept when its listener sets no limit
_UNLIMITED = 86400
#: nft counts in 32 bits
_MOST_FLOWS = 2**32 - 1
_MEMBER = f"ct mark and {2**32 - 1 - AWAITED:#x}"


def render(spec: Spec, verdicts: Verdicts, flows: Mapping[int, int]) -> Ruleset:
    """All rules of an amphora; none when it has neither UDP nor SCTP listeners nor allowed CIDRs. `flows`: how many
    are open by mark, as far as known. `spec` has passed `check`."""
    wanted = Ruleset()
    guard.add(wanted, spec)
    balanced = list(services(spec))
    for service in balanced:
        _add_service(wanted, service, verdicts, flows, paired=spec.vrrp is not None)
    if balanced:
        _add_base(wanted, spec, balanced)
    return wanted


def _add_base(wanted: Ruleset, spec: Spec, balanced: list[Service]) -> None:
    # Connections through HAProxy have no need to be followed by the kernel as well.
    for name, hook in (("untracked-in", "prerouting"), ("untracked-out", "output")):
        wanted.chain(name, ["meta l4proto tcp notrack"], f"type filter hook {hook} priority raw; policy accept;")
    present = {(service.family, service.transport) for service in balanced}
    versions = [family for family, _vips in families(spec)]
    wanted.chain(
        "arrival",
        [f"{family.word} daddr . meta l4proto . th dport vmap @arrival{family.version}" for family in versions],
        "type nat hook prerouting priority dstnat; policy accept;",
    )
    wanted.chain(
        "passage",
        [
            # Errors that routers and members report of a flow, e.g. that a datagram is too long.
            "ct state related accept",
            *(
                f"meta l4proto {transport.word} ct original {family.word} daddr . ct original proto-dst "
                f"vmap @passage{family.version}-{transport.word}"
                for family, transport in sorted(present, key=lambda each: (each[0].version, each[1].number))
            ),
        ],
        # An amphora is no router for anything else.
        "type filter hook forward priority filter; policy drop;",
    )
    wanted.chain("departure", _sources(spec), "type nat hook postrouting priority srcnat; policy accept;")


def _sources(spec: Spec) -> list[str]:
    """Members answer the amphora, not the client. Named addresses, because the kernel might take a VIP."""
    exact: list[str] = []
    otherwise: dict[tuple[str, str], str] = {}
    for interface in spec.interfaces:
        for each in interface.addresses:
            own = ip_interface(each.address)
            word = "ip" if own.version == 4 else "ip6"
            leaving = f'ct status dnat oifname "{interface.name}"'
            exact.append(f"{leaving} {word} daddr {own.network} snat {word} to {own.ip}")
            otherwise.setdefault((interface.name, word), f"{leaving} snat {word} to {own.ip}")
    return [*exact, *otherwise.values()]


def _add_service(
    wanted: Ruleset, service: Service, verdicts: Verdicts, flows: Mapping[int, int], *, paired: bool
) -> None:
    listener, family, protocol = service.listener, service.family, service.transport
    for name in (f"new-{listener.id}", service.name("in"), service.name("out")):
        wanted.objects["counter", name] = ""
    if choice.sticky(service) is not None:
        wanted.objects["map", service.name("sticky")] = choice.sticky_map(service)
    if listener.connection_limit > 0:
        wanted.chain(f"limit-{listener.id}", [f"ct count over {min(listener.connection_limit, _MOST_FLOWS)} drop"])
    idle = _add_timeout(wanted, listener)
    carried = {mark_of(listener, member): member for member in service.members if _carried(service, member, verdicts)}
    wanted.marks |= carried.keys()
    wanted.down |= {
        mark_of(listener, member)
        for member in service.members
        if member.enabled and not _carried(service, member, verdicts)
    }
    wanted.chain(service.name("pick"), _pick(service, carried, flows, idle, paired=paired))
    marks = ", ".join(f"{mark:#x}" for mark in sorted(carried))
    held = f"{_MEMBER} != {{ {marks} }} drop" if carried else "drop"
    wanted.strict.add(held)
    wanted.chain(service.name("carry"), _carry(service, held))
    places = [f"{vip} . {protocol.word} . {listener.port} : jump {service.name('pick')}" for vip in service.vips]
    passages = [f"{vip} . {listener.port} : jump {service.name('carry')}" for vip in service.vips]
    wanted.mapped(f"arrival{family.version}", f"type {family.type} . inet_proto . inet_service : verdict;", places)
    wanted.mapped(f"passage{family.version}-{protocol.word}", f"type {family.type} . inet_service : verdict;", passages)
    wanted.services |= {(vip, protocol.number, listener.port) for vip in service.vips}


def _add_timeout(wanted: Ruleset, listener: ListenerSpec) -> str | None:
    """The policy after which idle flows of the listener end; its name has its values, for it cannot be changed."""
    if listener.protocol is not ListenerProtocol.UDP:
        # nft 1.0.6 knows no SCTP policies: associations end as the kernel's own timeouts say.
        return None
    unreplied, replied = _seconds(listener.timeout_member_data), _seconds(listener.timeout_client_data)
    name = f"idle-{unreplied}-{replied}"
    wanted.objects["ct timeout", name] = (
        f"protocol udp;\n policy = {{ unreplied : {unreplied}, replied : {replied} }}\n"
    )
    return name


def _seconds(milliseconds: int) -> int:
    return -(-milliseconds // 1000) if milliseconds else _UNLIMITED


def _carried(service: Service, member: MemberSpec, verdicts: Verdicts) -> bool:
    """Whether flows that it has may go on."""
    pool = service.pool
    return member.enabled and pool is not None and verdicts.up(pool.id, member.id)


def candidates(service: Service, carried: Mapping[int, MemberSpec]) -> tuple[list[Candidate], list[Candidate]]:
    """Who takes new flows, and the same with those that are only dead now. Backups stand in for all others."""

    def tier(members: Iterable[MemberSpec], *, backup: bool) -> list[Candidate]:
        return [
            (mark_of(service.listener, member), member.weight)
            for member in members
            if member.enabled and member.weight > 0 and member.backup is backup
        ]

    backup = not tier(carried.values(), backup=False)
    return tier(carried.values(), backup=backup), tier(service.members, backup=backup)


def _pick(
    service: Service,
    carried: Mapping[int, MemberSpec],
    flows: Mapping[int, int],
    idle: str | None,
    *,
    paired: bool,
) -> list[str]:
    """For the first packet of each flow only: that is when the kernel asks nat chains."""
    listener, family, protocol = service.listener, service.family, service.transport
    active, steady = candidates(service, carried)
    lines = guard.datagrams(service)
    if not active:
        return [*lines, "reject with icmpx port-unreachable"]
    if listener.connection_limit > 0:
        lines.append(f"jump limit-{listener.id}")
    lines += choice.rules(service, active, steady, flows, paired=paired)
    lines.append("ct mark set meta mark")
    if idle is not None:
        lines.append(f'ct timeout set "{idle}"')
    places = ", ".join(
        f"{mark:#x} : {ip_address(carried[mark].address)} . {carried[mark].port}" for mark, _weight in active
    )
    return [
        *lines,
        f"counter name new-{listener.id}",
        f"meta l4proto {protocol.word} dnat {family.word} to meta mark map {{ {places} }}",
    ]


def _carry(service: Service, held: str) -> list[str]:
    """For every packet of every flow. `held`: the rule for flows to members that carry none."""
    return [
        held,
        *(f"ct direction original {line}" for line in guard.datagrams(service)),
        f"ct direction original ct mark set ct mark or {AWAITED:#x} counter name {service.name('in')} accept",
        f"ct mark set {_MEMBER} counter name {service.name('out')} accept",
    ]
