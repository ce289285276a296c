"""How an amphora that holds the VIP goes: the other of its pair is told to take it, and nobody is cut off meanwhile.

Connections end where they began. So nobody new is let in for a moment: who asks then asks again a second later, by
TCP's own timer (RFC 6298, section 2.1), and finds the other amphora. What is under way has that moment to end.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address

from livia.agent.datagram.nftables import Nftables
from livia.agent.errors import PlumbingError

#: seconds that requests have to end
_MOMENT = 0.15
#: seconds within which keepalived gives the VIP away
_PATIENCE = 1.0

_TABLE = """\
table inet livia_parting {{
  chain door {{
    type filter hook prerouting priority -400; policy accept;
{rules}
  }}
}}
"""


def give_way(namespace: str, vips: Iterable[str], resign: Callable[[], None], holds: Callable[[], bool]) -> None:
    """Let nobody new in at `vips`, then `resign`, and wait until the amphora does not hold them any more."""
    with suppress(PlumbingError, OSError):
        _shut(namespace, vips)
        time.sleep(_MOMENT)
    resign()
    deadline = time.monotonic() + _PATIENCE
    while holds() and time.monotonic() < deadline:
        time.sleep(0.002)


def _shut(namespace: str, vips: Iterable[str]) -> None:
    addresses = [ip_address(vip) for vip in vips]
    doors = [f"{'ip' if each.version == 4 else 'ip6'} daddr {each}" for each in addresses]
    rules = [f"    {door} tcp flags & (syn | ack) == syn drop" for door in doors]
    rule_set = Nftables(namespace)
    try:
        rule_set.run(_TABLE.format(rules="\n".join(rules)))
    finally:
        rule_set.close()
