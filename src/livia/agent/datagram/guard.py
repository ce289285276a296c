"""Allowed CIDRs: others are turned away before HAProxy or a member hears of them. Pure.

TCP is judged by its first packet and refused with a reset: connections that were made while their client was allowed
go on until one side ends them. Of UDP and SCTP every packet is judged, and silently dropped.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from livia.agent.datagram.service import Family, Service, families
from livia.agent.datagram.table import Ruleset
from livia.core.spec import ListenerSpec, Spec


def add(wanted: Ruleset, spec: Spec) -> None:
    """The sets of every listener that has allowed CIDRs, and the chains of those that HAProxy serves."""
    versions: list[Family] = []
    for listener in spec.listeners:
        if not listener.allowed_cidrs:
            continue
        for family, vips in families(spec):
            wanted.mapped(
                _set(listener, family), f"type {family.type}; flags interval;", list(_networks(listener, family)), "set"
            )
            if listener.datagram:
                continue
            name = f"guard{family.version}-{listener.id}"
            wanted.chain(name, [f"{family.word} saddr != @{_set(listener, family)} reject with tcp reset"])
            wanted.mapped(
                f"guard{family.version}",
                f"type {family.type} . inet_service : verdict;",
                [f"{vip} . {listener.port} : jump {name}" for vip in vips],
            )
            versions += [family] if family not in versions else []
    if versions:
        wanted.chain(
            "guard",
            [
                f"tcp flags & (fin|syn|rst|ack) == syn {family.word} daddr . tcp dport vmap @guard{family.version}"
                for family in versions
            ],
            "type filter hook input priority filter; policy accept;",
        )


def datagrams(service: Service) -> list[str]:
    """The rules of one UDP or SCTP listener."""
    if not service.listener.allowed_cidrs:
        return []
    return [f"{service.family.word} saddr != @{_set(service.listener, service.family)} drop"]


def _set(listener: ListenerSpec, family: Family) -> str:
    return f"allowed{family.version}-{listener.id}"


def _networks(listener: ListenerSpec, family: Family) -> Iterator[str]:
    """Without overlaps, which nftables refuses. None of a version: no client of that version is allowed."""
    given = [ip_network(cidr, strict=False) for cidr in listener.allowed_cidrs]
    if family.version == 4:
        yield from map(str, collapse_addresses(each for each in given if isinstance(each, IPv4Network)))
    else:
        yield from map(str, collapse_addresses(each for each in given if isinstance(each, IPv6Network)))
