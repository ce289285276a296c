"""What a canary's load balancer stands on: a network for its VIP, and a web server behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import structlog
from msgspec import Struct

from livia.core.drivers import Network
from livia.drivers.network.local import LocalNetworks
from livia.ops import network as networks_command
from livia.ops.services import Installation

log = structlog.get_logger()

#: the network that is made where none is named
NETWORK = "livia-canary"
#: tried in turn: one may overlap with what the machine is connected to
_CIDRS = ("10.253.199.0/28", "172.31.199.0/28", "192.168.199.0/28")
#: what the web server says
WORD = "chirp"
_LOCAL = "network_local_driver"


class NoGroundError(Exception):
    """There is no network to use, in a sentence."""


class Ground(Struct, frozen=True):
    """`network_id`: of the VIP. `member`: address and port of the web server, or None where this machine is not on the
    network, and the load balancer gets no member and no request."""

    network_id: str
    member: tuple[str, int] | None


@contextmanager
def prepared(installation: Installation) -> Iterator[Ground]:
    """The ground, removed afterwards as far as it was made for this. Raises NoGroundError."""
    given = installation.settings.livia.canary_network
    if installation.settings.controller.network_driver != _LOCAL:
        if not given:
            raise NoGroundError("[livia] canary_network is not set: it is the id of the network for the canary's VIP.")
        yield Ground(given, None)
        return
    networks = LocalNetworks(installation.database(), installation.clock)
    try:
        network = networks_command.find(networks, given) if given else _ensure(installation, networks)
    except networks_command.NetworkError as error:
        raise NoGroundError(str(error)) from error
    server = _serve(networks, network)
    try:
        yield Ground(network.id, None if server is None else (str(server.server_address[0]), server.server_port))
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
        if not given:
            _remove(installation)


def _ensure(installation: Installation, networks: LocalNetworks) -> Network:
    """The canary's own network: an earlier one's, that was killed, or a new one. Raises NetworkError."""
    for network in networks.networks():
        if network.name == NETWORK:
            return network
    problems = []
    for cidr in _CIDRS:
        try:
            return networks_command.create(installation, NETWORK, [cidr])
        except networks_command.NetworkError as error:
            problems.append(str(error))
    raise networks_command.NetworkError(" ".join(problems))


def _remove(installation: Installation) -> None:
    try:
        networks_command.delete(installation, NETWORK)
    except networks_command.NetworkError as error:
        # Something of a load balancer that could not be deleted is on it: the next canary tries again.
        log.warning("the canary's network stays", reason=str(error))


def _serve(networks: LocalNetworks, network: Network) -> ThreadingHTTPServer | None:
    """A web server at this machine's address on the network, if it has one."""
    for subnet_id in network.subnet_ids:
        subnet = networks.subnet(subnet_id)
        if subnet is not None and subnet.gateway is not None and ":" not in subnet.gateway:
            try:
                server = ThreadingHTTPServer((subnet.gateway, 0), _Chirp)
            except OSError:
                continue
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            return server
    return None


class _Chirp(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = WORD.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""
