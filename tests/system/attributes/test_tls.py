"""TLS attributes of listeners and pools, set through the API: what clients and members meet, after POST and PUT."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from livia.pki.sockets import ClosingSocket
from tests.agent.members import Response, Server, Stream, answer, head, request, response
from tests.keymaterial import INTERMEDIATE, ROOT, Holder
from tests.system.attributes.site import Balancer, Site
from tests.system.attributes.test_statuses import FAST

NAME = "www.example.net"
WEB = Holder(NAME, dns_names=(NAME,), issuer=INTERMEDIATE)
CLIENTS = Holder("clients", authority=True)
FRIEND = Holder("friend", issuer=CLIENTS, organization="Friends")
REVOKED = Holder("revoked", issuer=CLIENTS)
STRANGER = Holder("stranger")
MEMBERS = Holder("members", authority=True)
#: no name of a certificate: that of the client's request is verified
MEMBER = Holder(NAME, dns_names=(NAME,), issuer=MEMBERS)
X_SSL = (
    *("X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer"),
    *("X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After"),
)


class TlsMember(Server):
    """An HTTPS server that answers with the common name of the client's certificate, the version and the cipher."""

    def __init__(self, site: Site, port: int, *, demanded: Holder | None = None) -> None:
        path = site.directory / "member.pem"
        path.write_text(MEMBER.text())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sslsocket_class = ClosingSocket
        self._context.load_cert_chain(path)
        self._context.set_alpn_protocols(["http/1.1"])
        if demanded is not None:
            self._context.load_verify_locations(cadata=demanded.pem.decode())
            self._context.verify_mode = ssl.CERT_REQUIRED
        self.port = port
        self.address = site.inside.ipv4[3]
        super().__init__(site.inside.namespace, port, self._shake, host=self.address)

    def _shake(self, stream: Stream) -> None:
        with suppress(OSError), self._context.wrap_socket(stream.socket, server_side=True) as encrypted:
            inner = Stream(encrypted)
            head(inner)
            subject: Any = (encrypted.getpeercert() or {}).get("subject", ())
            cipher = encrypted.cipher()
            shown = (dict(pair[0] for pair in subject).get("commonName"), encrypted.version(), cipher and cipher[0])
            encrypted.sendall(answer(" ".join(str(each) for each in shown), Connection="close"))

    def body(self) -> dict[str, Any]:
        return {"name": "secure", "address": self.address, "protocol_port": self.port}


class Visitor:
    """Clients of a TLS listener."""

    def __init__(self, site: Site, balancer: Balancer) -> None:
        self._site = site
        self._balancer = balancer

    def visit(self, shown: Holder | None = None, *lines: str, port: int = 443) -> Response:
        """The answer to a request. Raises OSError and EOFError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = ClosingSocket
        context.load_verify_locations(cadata=ROOT.pem.decode())
        if shown is not None:
            path = self._site.directory / "shown.pem"
            path.write_text(shown.text())
            context.load_cert_chain(path)
        with self._balancer.connect(port) as plain:
            encrypted = context.wrap_socket(plain.socket, server_hostname=NAME)
            with encrypted:
                encrypted.sendall(request(*lines, "Connection: close", target="/echo"))
                return response(Stream(encrypted))

    def said(self, shown: Holder | None = None, *, port: int = 443) -> str:
        """The body of the answer, the status without one, or `refused`."""
        try:
            got = self.visit(shown, port=port)
        except (OSError, EOFError):
            return "refused"
        return got.body.decode() if got.status == 200 else str(got.status)

    def headers(self, shown: Holder | None = None) -> dict[str, str]:
        """What the member was told of this client."""
        lines = self.said(shown).split("\n")[1:]
        return {name: value for name, _, value in (line.partition(": ") for line in lines)}

    def shake(self, *options: str) -> tuple[str, str] | None:
        """(version, cipher) that openssl's client negotiates; None when it fails."""
        facts = dict(line.split(": ", 1) for line in self._openssl("-brief", *options).splitlines() if ": " in line)
        return (facts["Protocol version"], facts["Ciphersuite"]) if "Ciphersuite" in facts else None

    def chosen(self, *options: str) -> str:
        """The application protocol that openssl's client negotiates."""
        return self._openssl(*options).partition("ALPN protocol: ")[2].split("\n")[0]

    def _openssl(self, *options: str) -> str:
        place = ["ip", "netns", "exec", self._site.outside.namespace]
        command = [*place, "openssl", "s_client", "-connect", f"{self._balancer.vip}:443", *options]
        done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=10)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def balancer(site: Site) -> Iterator[Balancer]:
    listener = {
        "name": "tls",
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": 443,
        "default_tls_container_ref": site.keyed(WEB, INTERMEDIATE),
        "insert_headers": dict.fromkeys((*X_SSL, "X-Forwarded-For", "X-Forwarded-Proto"), "true"),
        "default_pool": site.pool(),
    }
    with site.create("tls", listeners=[listener]) as made:
        yield made


@pytest.fixture
def visitor(site: Site, balancer: Balancer) -> Visitor:
    return Visitor(site, balancer)


def test_client_authentication(site: Site, balancer: Balancer, visitor: Visitor) -> None:
    assert visitor.said(STRANGER).startswith("member-")
    told = visitor.headers(FRIEND)
    assert (told["x-ssl-client-has-cert"], told["x-forwarded-proto"]) == ("0", "https")

    balancer.set_listener(client_ca_tls_container_ref=site.bundle(CLIENTS.pem), client_authentication="OPTIONAL")
    assert visitor.headers()["x-ssl-client-has-cert"] == "0"
    told = visitor.headers(FRIEND)
    assert {name.lower() for name in X_SSL} <= told.keys()
    assert (told["x-ssl-client-has-cert"], told["x-ssl-client-verify"]) == ("1", "0")
    assert (told["x-ssl-client-cn"], told["x-forwarded-for"]) == ("friend", site.outside.ipv4[0])
    assert "O=Friends" in told["x-ssl-client-dn"]
    assert "clients" in told["x-ssl-issuer"]
    assert visitor.said(STRANGER) == "refused"

    balancer.set_listener(client_authentication="MANDATORY")
    assert (visitor.said(), visitor.said(STRANGER)) == ("refused", "refused")
    assert [visitor.said(each).split("-")[0] for each in (FRIEND, REVOKED)] == ["member", "member"]
    balancer.set_listener(client_crl_container_ref=site.bundle(CLIENTS.revocation_list()))
    assert visitor.said(REVOKED).startswith("member-")
    balancer.set_listener(client_crl_container_ref=site.bundle(CLIENTS.revocation_list(REVOKED)))
    assert visitor.said(FRIEND).startswith("member-")
    assert visitor.said(REVOKED) == "refused"
    for _ in range(2):
        # HAProxy 2.6 would crash at the second if the list had been replaced at run time.
        renewed = Holder(NAME, dns_names=(NAME,), issuer=INTERMEDIATE)
        balancer.set_listener(default_tls_container_ref=site.keyed(renewed, INTERMEDIATE))
        assert visitor.said(FRIEND).startswith("member-")
    balancer.set_listener(client_crl_container_ref=None)
    assert visitor.said(REVOKED).startswith("member-")

    balancer.set_listener(client_authentication="NONE", client_ca_tls_container_ref=None, insert_headers={})
    assert visitor.said(STRANGER).startswith("member-")
    assert not [name for name in visitor.headers() if name.startswith("x-")]


def test_versions_ciphers_alpn_and_hsts(balancer: Balancer, visitor: Visitor) -> None:
    offered = ("-alpn", "h2,http/1.1")
    assert visitor.chosen(*offered) == "h2"
    got = visitor.visit()
    assert "strict-transport-security" not in got.headers
    balancer.set_listener(hsts_max_age=60, hsts_include_subdomains=True, hsts_preload=True, alpn_protocols=["http/1.1"])
    got = visitor.visit()
    assert got.headers["strict-transport-security"] == "max-age=60; includeSubDomains; preload;"
    assert visitor.chosen(*offered) == "http/1.1"
    balancer.set_listener(hsts_max_age=None, alpn_protocols=None)
    got = visitor.visit()
    assert "strict-transport-security" not in got.headers
    assert visitor.chosen(*offered) == "h2"

    assert [visitor.shake(f"-tls1_{minor}") is not None for minor in (1, 2, 3)] == [False, True, True]
    balancer.set_listener(tls_versions=["TLSv1.2"], tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    assert visitor.shake("-tls1_3") is None
    assert visitor.shake() == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert visitor.shake("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") is None
    balancer.set_listener(tls_versions=["TLSv1.3"], tls_ciphers="TLS_CHACHA20_POLY1305_SHA256")
    assert visitor.shake() == ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")
    assert visitor.shake("-tls1_2") is None
    balancer.set_listener(tls_versions=None, tls_ciphers=None)
    assert visitor.shake("-tls1_2") is not None


def test_members_that_speak_tls(site: Site, balancer: Balancer, visitor: Visitor) -> None:
    """Verified by their own authority, checked for revocation, shown our certificate."""
    with TlsMember(site, 8443) as member, TlsMember(site, 8444, demanded=CLIENTS) as strict:
        secure = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "tls_enabled": True}
        pool = balancer.add("/pools", "pool", loadbalancer_id=balancer.id, name="secure", **secure)["id"]
        path = f"/pools/{pool}"
        joined = balancer.add(f"{path}/members", "member", **member.body())["id"]
        balancer.set_listener(default_pool_id=pool)
        assert visitor.said() == "None TLSv1.3 TLS_AES_256_GCM_SHA384"
        balancer.put(path, tls_versions=["TLSv1.2"], tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
        assert visitor.said() == "None TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"
        balancer.put(path, ca_tls_container_ref=site.bundle(MEMBERS.pem))
        assert visitor.said().startswith("None TLSv1.2")
        # Another one in its place, which is not the same to HAProxy as one that comes or goes.
        balancer.put(path, ca_tls_container_ref=site.bundle(CLIENTS.pem))
        assert visitor.said() == "503"
        balancer.put(path, ca_tls_container_ref=site.bundle(MEMBERS.pem))
        assert visitor.said().startswith("None TLSv1.2")

        balancer.api.delete(f"{path}/members/{joined}")
        balancer.add(f"{path}/members", "member", **strict.body())
        assert visitor.said() in ("502", "503")
        balancer.put(path, tls_container_ref=site.keyed(FRIEND))
        assert visitor.said().startswith("friend TLSv1.2")
        balancer.put(path, crl_container_ref=site.bundle(MEMBERS.revocation_list()))
        assert visitor.said().startswith("friend TLSv1.2")
        balancer.put(path, crl_container_ref=site.bundle(MEMBERS.revocation_list(MEMBER)))
        assert visitor.said() == "503"
        balancer.put(path, crl_container_ref=None)
        for kind, verdict in (("TLS-HELLO", "ONLINE"), ("HTTPS", "ONLINE")):
            monitor = balancer.add("/healthmonitors", "healthmonitor", pool_id=pool, type=kind, **FAST)["id"]
            balancer.becomes(secure=verdict, monitor="ONLINE")
            balancer.api.delete(f"/healthmonitors/{monitor}")
            balancer.wait()
        balancer.put(path, tls_enabled=False, tls_container_ref=None)
        assert visitor.said() in ("400", "502")
        balancer.set_listener(default_pool_id=balancer.first("pools"))


def test_passed_on(site: Site, balancer: Balancer, visitor: Visitor) -> None:
    """An HTTPS listener shows the member's certificate, not ours."""
    with TlsMember(site, 8443) as member:
        pool = site.pool(protocol="HTTPS", members=[member.body()])
        with site.create(
            "through", listeners=[{"protocol": "HTTPS", "protocol_port": 443, "default_pool": pool}]
        ) as made:
            other = Visitor(site, made)
            assert other.said() == "refused"
            assert other.shake("-alpn", "http/1.1") is not None
