"""Members that speak TLS and say what they saw of it, and clients that speak TLS to a VIP."""

import http.client
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, MemberTlsSpec, TerminationSpec, name_of
from livia.pki.sockets import ClosingSocket
from tests.agent.lab import VIP, Lab, listener
from tests.keymaterial import ROOT, Holder
from tests.waiting import wait_for

CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
VERSIONS = ("TLSv1.2", "TLSv1.3")
ALPN = ("h2", "http/1.1", "http/1.0")

#: arguments: name, PEM of certificate and key, PEM of the clients' authority or "-", protocols with commas
_MEMBER = """
import socket, ssl, sys
from threading import Thread
import h2.connection, h2.config, h2.events
name, certificate, authority, alpn = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
context.set_alpn_protocols(alpn.split(","))
context.sni_callback = lambda stream, asked, _context: setattr(stream, "asked", asked)
if authority != "-":
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
def seen(stream, headers):
    subject = dict(pair[0] for pair in (stream.getpeercert() or {}).get("subject", ()))
    facts = {"version": stream.version(), "cipher": stream.cipher()[0], "alpn": stream.selected_alpn_protocol(),
             "sni": getattr(stream, "asked", None), "client": subject.get("commonName")}
    lines = [name, *(f"tls-{key}: {value}" for key, value in facts.items()), *(f"{k}: {v}" for k, v in headers)]
    return "\\n".join(lines).encode()
def one(stream):
    data = b""
    while True:
        while b"\\r\\n\\r\\n" not in data:
            data += stream.recv(65536) or sys.exit()
        head, _, data = data.partition(b"\\r\\n\\r\\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\\r\\n")[1:]]
        body = seen(stream, headers)
        stream.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
def two(stream):
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    state.initiate_connection()
    stream.sendall(state.data_to_send())
    while data := stream.recv(65536):
        for event in state.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                state.send_headers(event.stream_id, [(":status", "200")])
                state.send_data(event.stream_id, seen(stream, event.headers), end_stream=True)
        stream.sendall(state.data_to_send())
def serve(plain):
    try:
        with context.wrap_socket(plain, server_side=True) as stream:
            (two if stream.selected_alpn_protocol() == "h2" else one)(stream)
    except OSError:
        plain.close()
server = socket.create_server(("", 443), backlog=256)
while True:
    Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


class Answer(Struct, frozen=True, kw_only=True):
    """What a client got. `seen`: the lines of a member's answer after its name."""

    status: int
    headers: dict[str, str]
    name: str
    seen: dict[str, str]
    version: str
    cipher: str
    alpn: str | None
    #: common name of the certificate that the listener showed
    shown: str


class Client:
    """A TLS client in a namespace, that trusts ROOT."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self._directory = lab.directory
        self.namespace = namespace

    def context(self, certificate: Holder | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Trusts ROOT, and shows `certificate`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = ClosingSocket
        context.load_verify_locations(cadata=ROOT.pem.decode())
        if certificate is not None:
            path = self._directory / "shown.pem"
            path.write_text(certificate.text())
            context.load_cert_chain(path)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def ask(
        self,
        path: str = "/",
        *,
        name: str = "www.example.net",
        port: int = 443,
        certificate: Holder | None = None,
        trust: Holder | None = None,
        headers: Mapping[str, str] | None = None,
        alpn: tuple[str, ...] = (),
    ) -> Answer:
        """One request. `trust`: a further authority. Raises OSError when there is no answer."""
        context = self.context(certificate, alpn)
        if trust is not None:
            context.load_verify_locations(cadata=trust.pem.decode())

        def visit() -> Answer:
            connection = _Connection(name, port, context)
            try:
                connection.request("GET", path, headers={"Host": name} | dict(headers or {}))
                answer = connection.getresponse()
                first, *lines = answer.read().decode().split("\n")
                stream = connection.encrypted
                subject: Any = stream.getpeercert()["subject"]  # type: ignore[index]
                return Answer(
                    status=answer.status,
                    headers={key.lower(): value for key, value in answer.getheaders()},
                    name=first,
                    seen={key.lower(): value for key, _, value in (line.partition(": ") for line in lines)},
                    version=stream.version() or "",
                    cipher=stream.cipher()[0],  # type: ignore[index]
                    alpn=stream.selected_alpn_protocol(),
                    shown=dict(pair[0] for pair in subject)["commonName"],
                )
            finally:
                connection.close()

        return kernel.inside(self.namespace, visit)

    def refused(self, certificate: Holder | None) -> bool:
        """Whether a client with this certificate is sent away by a TLS alert or an end."""
        try:
            self.ask(certificate=certificate)
        except (ssl.SSLError, ConnectionError):
            return True
        return False

    def shake(self, *options: str, port: int = 443) -> tuple[str, str] | None:
        """(version, cipher) that openssl's client negotiates; None when it fails."""
        done = subprocess.run(
            [
                *("nsenter", f"--net=/run/netns/{self.namespace}", "openssl", "s_client", "-brief"),
                *("-connect", f"{VIP}:{port}", *options),
            ],
            input="",
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        facts = dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
        return (facts["Protocol version"], facts["Ciphersuite"]) if "Ciphersuite" in facts else None


class _Connection(http.client.HTTPConnection):
    """Asks for a name at the VIP."""

    encrypted: ssl.SSLSocket

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(VIP, port, timeout=5)
        self._name = name
        self._context = context

    def connect(self) -> None:
        super().connect()
        plain = self.sock
        self.encrypted = self._context.wrap_socket(plain, server_hostname=self._name, do_handshake_on_connect=False)
        self.sock = self.encrypted
        self.encrypted.do_handshake()


def serve_tls(
    lab: Lab, namespace: str, name: str, holder: Holder, *, authority: Holder | None = None, alpn: str = "http/1.1"
) -> "subprocess.Popen[bytes]":
    """A member on port 443 of a namespace, that takes connections when this returns. It is the caller's to end."""
    certificate = lab.directory / f"{name}.pem"
    certificate.write_text(holder.text())
    trusted = Path("-")
    if authority is not None:
        trusted = lab.directory / f"{name}.ca"
        trusted.write_bytes(authority.pem)
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", _MEMBER]
    process = subprocess.Popen([*command, name, str(certificate), str(trusted), alpn], stderr=subprocess.DEVNULL)
    wait_for(lambda: _listens(namespace))
    return process


def _listens(namespace: str) -> bool:
    return kernel.inside(namespace, lambda: ":01BB " in Path("/proc/thread-self/net/tcp").read_text())


def termination(*texts: str, **changes: Any) -> TerminationSpec:
    values: dict[str, Any] = {
        "certificates": tuple(name_of(text) for text in texts),
        "ciphers": CIPHERS,
        "versions": VERSIONS,
        "alpn": ALPN,
    }
    return TerminationSpec(**(values | changes))


def tls_listener(tls: TerminationSpec, **changes: Any) -> ListenerSpec:
    return listener(protocol=ListenerProtocol.TERMINATED_HTTPS, port=443, tls=tls, **changes)


def member_tls(**changes: Any) -> MemberTlsSpec:
    values: dict[str, Any] = {"ciphers": CIPHERS, "versions": VERSIONS, "alpn": ("http/1.1",)}
    return MemberTlsSpec(**(values | changes))
