"""keepalived.conf: VRRP version 3, unicast (RFC 5798; keepalived.conf(5))."""

import re
from ipaddress import ip_address

from livia.agent.errors import InvalidSpecError
from livia.core.spec import Spec, Vrrp

#: below every priority: an instance whose weight sinks it here is in FAULT, and holds nothing
DOWN = "-254\n"
UP = "0\n"

_GLOBAL = """\
global_defs {
  vrrp_version 3
  vrrp_garp_master_refresh 5
  vrrp_garp_master_refresh_repeat 2
  vrrp_garp_interval 0.001
  script_user root
  enable_script_security
}
"""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEVICE = re.compile(r"eth[0-9]{1,3}")


def render(spec: Spec, track_file: str) -> str | None:
    """The text of keepalived.conf; None without VRRP. `track_file`: path of the file that HAProxy's death is
    written to. Raises InvalidSpecError."""
    if spec.vrrp is None:
        return None
    _check(spec.vrrp)
    version = ip_address(spec.vrrp.source).version
    addresses: dict[bool, list[str]] = {True: [], False: []}
    for vip in spec.vips:
        address = ip_address(vip.address)
        addresses[address.version == version].append(f"{address}/{address.max_prefixlen} dev {_device(vip.interface)}")
    if not addresses[True]:
        raise InvalidSpecError(f"No VIP is of the IP version of {spec.vrrp.source}, from which VRRP is sent.")
    lines = [
        f"vrrp_track_file haproxy {{\n  file {track_file}\n  weight 1\n}}",
        f"vrrp_instance {spec.vrrp.instance} {{",
        *(f"  {line}" for line in _instance(spec.vrrp)),
        *_block("unicast_peer", [str(ip_address(peer)) for peer in spec.vrrp.peers]),
        *_block("virtual_ipaddress", addresses[True]),
        # One instance carries one IP version (RFC 5798, section 5.1.1); the others go along with it.
        *_block("virtual_ipaddress_excluded", addresses[False]),
        *_block("track_file", ["haproxy weight 1"]),
        "}",
    ]
    return _GLOBAL + "\n".join(lines) + "\n"


def floating(spec: Spec) -> str:
    """One line per VIP, `address/length interface`: what the finish script removes."""
    if spec.vrrp is None:
        return ""
    hosts = ((ip_address(vip.address), _device(vip.interface)) for vip in spec.vips)
    return "".join(f"{address}/{address.max_prefixlen} {device}\n" for address, device in hosts)


def _instance(vrrp: Vrrp) -> list[str]:
    return [
        # Both begin as BACKUP: with nopreempt a returning amphora takes nothing from one that serves.
        "state BACKUP",
        "nopreempt",
        f"interface {_device(vrrp.interface)}",
        f"virtual_router_id {vrrp.router_id}",
        f"priority {vrrp.priority}",
        f"advert_int {vrrp.advert_interval:g}",
        "garp_master_delay 1",
        "garp_master_repeat 3",
        f"unicast_src_ip {ip_address(vrrp.source)}",
    ]


def _check(vrrp: Vrrp) -> None:
    if not _NAME.fullmatch(vrrp.instance):
        raise InvalidSpecError(f"{vrrp.instance!r} is no name for a VRRP instance.")
    if not 1 <= vrrp.router_id <= 255:
        raise InvalidSpecError(f"A virtual router id is 1 to 255, not {vrrp.router_id}.")
    if not 1 <= vrrp.priority <= 254:
        raise InvalidSpecError(f"A VRRP priority is 1 to 254, not {vrrp.priority}.")
    # RFC 5798, section 5.2.7: 12 bits of centiseconds.
    if not 0.01 <= vrrp.advert_interval <= 40.95:
        raise InvalidSpecError(f"A VRRP advert interval is 0.01 to 40.95 s, not {vrrp.advert_interval}.")


def _device(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise InvalidSpecError(f"{name!r} is no interface of an amphora: eth0, eth1, ...")
    return name


def _block(name: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    return [f"  {name} {{", *(f"    {line}" for line in lines), "  }"]
