"""Bandwidth limits of the VIPs, by the kernel's hierarchical token bucket (tc-htb(8), tc-u32(8)).

Only packets from or to a VIP are held back: VRRP adverts and health checks pass by, so that no amount of traffic looks
like the death of an amphora. Packets that leave are shaped at the amphora's end of the interface, those that arrive at
the fabric's end of it.
"""

import json
from collections.abc import Iterable
from ipaddress import ip_address

from livia.agent.plumbing import kernel
from livia.core.spec import BandwidthLimit

_HANDLE = "1:"
_CLASS = "1:1"
#: of the rate, where the policy names no burst: as network services have it for TCP
_DEFAULT_BURST = 0.8
#: a queue holds this many seconds of the rate, and no less than a few of the largest packets
_QUEUE_SECONDS = 0.2
_LEAST_QUEUE = 256 * 1024
#: more than any of these devices passes on
_UNHINDERED = "rate 100gbit burst 1mb cburst 1mb"


def limit(
    namespace: str, device: str, side: str, addresses: Iterable[str], wanted: BandwidthLimit | None, *, fresh: bool
) -> None:
    """Hold packets whose `side` (src or dst) is one of `addresses` to a rate; None lifts the limit.

    `fresh`: the device was just made, so that there is nothing to look for. No packet that waits is dropped when a rate
    changes or goes. Raises PlumbingError.
    """
    present = not fresh and _present(namespace, device)
    if wanted is None:
        if present:
            _lift(namespace, device)
        return
    lines = [] if present else [f"qdisc add dev {device} root handle {_HANDLE} htb default 0"]
    lines.append(f"class replace dev {device} parent {_HANDLE} classid {_CLASS} htb {_rate(wanted)}")
    queue = max(_LEAST_QUEUE, int(wanted.kbps * 125 * _QUEUE_SECONDS))
    lines.append(f"qdisc replace dev {device} parent {_CLASS} bfifo limit {queue}")
    if present:
        lines.append(f"filter delete dev {device} parent {_HANDLE}")
    lines += [_filter(device, side, address) for address in addresses]
    kernel.traffic_control(namespace, lines)


def _lift(namespace: str, device: str) -> None:
    """Let what waits go at once, and all that comes pass by. The queue stays: what is in one when it goes is lost."""
    kernel.traffic_control(
        namespace,
        [
            f"class replace dev {device} parent {_HANDLE} classid {_CLASS} htb {_UNHINDERED}",
            f"filter delete dev {device} parent {_HANDLE}",
        ],
    )


def _present(namespace: str, device: str) -> bool:
    listed = json.loads(kernel.show_queues(namespace, device) or "[]")
    return any(each.get("root") and each["kind"] == "htb" for each in listed)


def _rate(wanted: BandwidthLimit) -> str:
    """`bit` and `kbit` are decimal in tc, and `b` is bytes (tc(8), PARAMETERS)."""
    burst = int((wanted.burst_kb or wanted.kbps * _DEFAULT_BURST) * 125)
    return f"rate {wanted.kbps}kbit ceil {wanted.kbps}kbit burst {burst}b cburst {burst}b"


def _filter(device: str, side: str, text: str) -> str:
    address = ip_address(text)
    protocol, field = ("ip", "ip") if address.version == 4 else ("ipv6", "ip6")
    # A priority holds filters of one protocol only.
    priority = 1 if address.version == 4 else 2
    return (
        f"filter add dev {device} parent {_HANDLE} protocol {protocol} prio {priority} "
        f"u32 match {field} {side} {address}/{address.max_prefixlen} flowid {_CLASS}"
    )
