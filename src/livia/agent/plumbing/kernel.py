"""Network namespaces, and what is done inside them without starting a program."""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from threading import Thread
from typing import Generic, TypeVar

from livia.agent.errors import PlumbingError

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_NAMESPACES = Path("/run/netns")
#: seconds that `ip` may take
_PATIENCE = 20.0

_libc = ctypes.CDLL(None, use_errno=True)

# rtnetlink(7)
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_DONE, _NLMSG_ERROR = 3, 2
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_BROADCAST = b"\xff" * 6


def exists(namespace: str) -> bool:
    """Whether there is a network namespace of this name."""
    return (_NAMESPACES / namespace).exists()


def identity(namespace: str) -> int:
    """What tells a namespace from an earlier one of the same name: its inode. Raises OSError without it."""
    return (_NAMESPACES / namespace).stat().st_ino


def named(prefix: str) -> list[str]:
    """Names of the network namespaces that begin with `prefix`."""
    return sorted(path.name for path in _NAMESPACES.glob(f"{prefix}*"))


def add(namespace: str) -> None:
    """Make a network namespace. One that is there already is kept."""
    if not exists(namespace):
        ip(["netns", "add", namespace])


def delete(namespace: str) -> None:
    """Remove a network namespace, whether or not it is there."""
    if exists(namespace):
        ip(["netns", "delete", namespace])


def ip(arguments: list[str]) -> str:
    """Run ip(8) and return what it prints. Raises PlumbingError with its message."""
    return _run(["ip", *arguments], None)


def batch(namespace: str, lines: Iterable[str]) -> None:
    """Run many ip(8) commands inside a namespace at the cost of one. Stops at the first that fails."""
    text = "\n".join(lines)
    if text:
        _run(["ip", "-n", namespace, "-batch", "-"], text + "\n")


def traffic_control(namespace: str, lines: Iterable[str]) -> None:
    """Run tc(8) commands inside a namespace. Stops at the first that fails. Raises PlumbingError."""
    _run(["tc", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def show_queues(namespace: str, device: str) -> str:
    """The queueing disciplines of a device and what they counted, as tc(8) prints it in JSON. Raises PlumbingError."""
    return _run(["tc", "-n", namespace, "-json", "-statistics", "qdisc", "show", "dev", device], None)


def _run(command: list[str], given: str | None) -> str:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=_PATIENCE, stdin=None
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlumbingError(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        raise PlumbingError(f"'{' '.join(command)}' failed.", details=f"{done.stderr.strip()}\n{given or ''}".strip())
    return done.stdout


def here() -> int:
    """A descriptor of the calling thread's network namespace, for `enter`."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(descriptor: int) -> None:
    """Move the calling thread, and it alone, to a network namespace. Raises OSError."""
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter_named(namespace: str) -> None:
    """Move the calling thread to the network namespace of this name. Raises OSError."""
    descriptor = os.open(_NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(descriptor)
    finally:
        os.close(descriptor)


class _Visit(Thread, Generic[_T]):
    """A thread of its own: setns(2) moves only the calling thread, and this one ends there."""

    def __init__(self, namespace: str, work: Callable[[], _T]) -> None:
        super().__init__(name=f"in-{namespace}", daemon=True)
        self._namespace = namespace
        self._work = work
        self.result: _T | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            enter_named(self._namespace)
            self.result = self._work()
        except Exception as error:  # carried to the thread that waits
            self.error = error


def inside(namespace: str, work: Callable[[], _T]) -> _T:
    """The result of `work`, run inside the namespace. Sockets that it makes stay there."""
    visit = _Visit(namespace, work)
    visit.start()
    visit.join()
    if visit.error is not None:
        raise visit.error
    return visit.result  # type: ignore[return-value]


def has_link(namespace: str, name: str) -> bool:
    """Whether the namespace has a network interface of this name."""

    def look() -> bool:
        try:
            return socket.if_nametoindex(name) > 0
        except OSError:
            return False

    return inside(namespace, look)


def write_sysctls(values: Iterable[tuple[str, str]]) -> None:
    """Set (path below /proc/sys/net, value) of the calling thread's namespace. A missing one is left out:
    a kernel without IPv6 has none of its."""
    for name, value in values:
        with suppress(FileNotFoundError):
            Path("/proc/sys/net", name).write_text(value)


def address_socket() -> socket.socket:
    """A socket for `addresses`. It goes on looking into the namespace it was made in."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.bind((0, 0))
    opened.settimeout(2.0)
    return opened


def addresses(netlink: socket.socket) -> frozenset[str]:
    """All addresses on interfaces of the socket's namespace."""
    found: set[str] = set()
    netlink.send(_HEADER.pack(24, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + bytes(8))
    while True:
        data = netlink.recv(65536)
        while len(data) >= _HEADER.size:
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                return frozenset(found)
            if kind == _RTM_NEWADDR:
                found.update(_address(data[_HEADER.size + 8 : length]))
            data = data[(length + 3) & ~3 :]


def _address(attributes: bytes) -> list[str]:
    """The local address of one RTM_NEWADDR. IPv6 has it in IFA_ADDRESS, IPv4 in IFA_LOCAL."""
    values: dict[int, bytes] = {}
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if length < 4:
            break
        values[kind] = attributes[4:length]
        attributes = attributes[(length + 3) & ~3 :]
    raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    return [str(ip_address(raw))] if raw else []


def announce(interface: str, mac: str, text: str) -> None:
    """Tell the segment of the calling thread's namespace where an address now is: a gratuitous ARP
    (RFC 5227, section 3) or an unsolicited neighbour advertisement (RFC 4861, section 7.2.6)."""
    address = ip_address(text)
    hardware = bytes.fromhex(mac.replace(":", ""))
    if isinstance(address, IPv6Address):
        _advertise(interface, hardware, address)
        return
    frame = _ARP.pack(1, 0x0800, 6, 4, 1, hardware, address.packed, _BROADCAST, address.packed)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface, 0x0806))
        link.send(_BROADCAST + hardware + b"\x08\x06" + frame)


def _advertise(interface: str, hardware: bytes, address: IPv6Address) -> None:
    override = 0x20000000
    message = struct.pack("!BBHI", 136, 0, 0, override) + address.packed + b"\x02\x01" + hardware
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.bind((str(address), 0))
        raw.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(interface)))
