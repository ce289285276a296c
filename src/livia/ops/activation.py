"""A socket that whoever started this process listens on, and goes on to while it is replaced (sd_listen_fds(3))."""

import os
import socket

#: sd_listen_fds(3), SD_LISTEN_FDS_START
_FIRST = 3


def passed() -> bool:
    """Whether this process was given a socket: it, and not one that it forked, or that forked it."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0"


def take() -> socket.socket:
    """The socket. Programs that this process starts do not get it."""
    os.set_inheritable(_FIRST, False)
    listening = socket.socket(fileno=_FIRST)
    listening.setblocking(False)
    return listening


def problems(host: str, port: int) -> list[str]:
    """Why the socket cannot be the API's, whose configuration names `host` and `port`; empty when it can.

    They must agree: by its address the API knows whether it may do without authentication.
    """
    if os.environ["LISTEN_FDS"] != "1":
        return [f"Whoever started this listens on {os.environ['LISTEN_FDS']} sockets: it needs one, the API's."]
    try:
        with socket.socket(fileno=os.dup(_FIRST)) as given:
            if given.family not in (socket.AF_INET, socket.AF_INET6) or not _listens(given):
                return ["Whoever started this passed what is no listening TCP socket: set ListenStream= to one."]
            address = given.getsockname()[:2]
        wanted = {found[4][:2] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        return [f"The socket that was passed cannot be compared with {host} port {port} ({error.strerror})."]
    if address in wanted:
        return []
    return [
        f"Whoever started this listens on {address[0]} port {address[1]}, and [api_settings] bind_host and bind_port "
        f"are {host} and {port}: have both say the same."
    ]


def _listens(given: socket.socket) -> bool:
    return given.type == socket.SOCK_STREAM and bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
