"""Ports of a test's own, so that what else runs on the machine does not matter."""

import random
import socket
from contextlib import ExitStack

from livia.ops.metrics import OFFSETS

#: below those that Linux gives to connections, so that none of other tests takes one before it is listened on
_OURS = range(10_000, 32_000)
_chance = random.SystemRandom()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody has."""
    while True:
        port = _chance.choice(_OURS)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def free_run(length: int) -> int:
    """The first of `length` TCP ports in a row that nobody listens on."""
    while True:
        first = free_port()
        with ExitStack() as stack:
            try:
                for port in range(first, first + length):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first


def installation() -> str:
    """The sections of an octavia.conf that name the ports of an installation."""
    return f"""
[api_settings]
bind_port = {free_port()}
[health_manager]
bind_port = {free_port(socket.SOCK_DGRAM)}
[haproxy_amphora]
bind_port = {free_port()}
[livia]
metrics_port = {free_run(len(OFFSETS))}
"""
