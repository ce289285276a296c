"""Ports of a test's own, so that what else runs on the machine does not matter."""

import socket
from contextlib import ExitStack

from livia.ops.metrics import OFFSETS


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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
