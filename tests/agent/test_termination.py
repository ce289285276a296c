"""A listener ends its clients' TLS: every option, shown to clients."""

import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from livia.agent.plumbing import kernel
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.model.listener import ClientAuthentication
from livia.core.spec import HstsSpec, PolicySpec, RuleSpec, Spec, name_of
from livia.pki.sockets import ClosingSocket
from tests.agent.lab import VIP, Lab, member, pool, single
from tests.agent.tls_site import VERSIONS, Client, termination, tls_listener
from tests.keymaterial import INTERMEDIATE, OTHER, ROOT, WEB, Holder

WEB_TEXT = WEB.text(INTERMEDIATE)
OTHER_TEXT = OTHER.text()
CLIENT = Holder("alice", organization='Ali"ce, & sons\nX-Evil: 1', issuer=ROOT)
STRANGER = Holder("mallory")
CA = ROOT.pem.decode()
_CLASSIC = "ECDHE-ECDSA-AES128-SHA"
SSL_HEADERS = (
    "X-SSL-Client-Verify",
    "X-SSL-Client-Has-Cert",
    "X-SSL-Client-DN",
    "X-SSL-Client-CN",
    "X-SSL-Issuer",
    "X-SSL-Client-SHA1",
    "X-SSL-Client-Not-Before",
    "X-SSL-Client-Not-After",
)


class Site:
    """One lab for all tests here: each gives the amphora its spec."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.member("one", "172.31.213.11")
        lab.member("two", "172.31.213.12")
        self.client = Client(lab, lab.namespace("client", "172.31.213.100"))
        self._generation = 0

    def serve(self, spec: Spec, *texts: str) -> None:
        self._generation += 1
        self.lab.apply(spec, self._generation, texts)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lab = Lab(tmp_path_factory.mktemp("termination"))
    try:
        lab.start()
        yield Site(lab)
    finally:
        lab.close()


def _spec(tls: object, **changes: object) -> Spec:
    return single((pool(member(1)), pool(member(2), id="pool-2")), (tls_listener(tls, **changes),))  # type: ignore[arg-type]


def test_names_choose_certificates_and_intermediates_come_along(site: Site) -> None:
    site.serve(_spec(termination(WEB_TEXT, OTHER_TEXT)), WEB_TEXT, OTHER_TEXT)
    # Trusts the root only: without the intermediate it could not verify.
    answer = site.client.ask()
    assert (answer.status, answer.name, answer.shown, answer.version) == (200, "one", "www.example.net", "TLSv1.3")
    assert site.client.ask(name="example.net").shown == "www.example.net"
    assert _shown(site, "other.example.net") == "other.example.net"
    assert _shown(site, "unknown.example.net") == "www.example.net"
    assert _shown(site, None) == "www.example.net"


def _shown(site: Site, name: str | None) -> str:
    """Whose certificate a client gets that asks for `name`, and trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = ClosingSocket
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def visit() -> bytes:
        with (
            socket.create_connection((VIP, 443), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as stream,
        ):
            return stream.getpeercert(binary_form=True) or b""

    subject = x509.load_der_x509_certificate(kernel.inside(site.client.namespace, visit)).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_application_protocols_are_negotiated(site: Site) -> None:
    site.serve(_spec(termination(WEB_TEXT)), WEB_TEXT)
    context = site.client.context()

    def visit() -> httpx.Response:
        with httpx.Client(verify=context, http2=True, trust_env=False) as client:
            return client.get(
                f"https://{VIP}/", headers={"Host": "www.example.net"}, extensions={"sni_hostname": "www.example.net"}
            )

    answer = kernel.inside(site.client.namespace, visit)
    assert (answer.status_code, answer.http_version, answer.text) == (200, "HTTP/2", "one")
    assert site.client.ask(alpn=("http/1.0",)).alpn == "http/1.0"
    site.serve(_spec(termination(WEB_TEXT, alpn=("http/1.1",))), WEB_TEXT)
    assert kernel.inside(site.client.namespace, visit).http_version == "HTTP/1.1"


@pytest.mark.parametrize("versions", [("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"), ("TLSv1.2",), ("TLSv1.3",)])
def test_only_wanted_versions_are_spoken(site: Site, versions: tuple[str, ...]) -> None:
    ciphers = f"TLS_AES_256_GCM_SHA384:{_CLASSIC}"
    site.serve(_spec(termination(WEB_TEXT, versions=versions, ciphers=ciphers)), WEB_TEXT)
    everything = ("-cipher", "ALL:@SECLEVEL=0")
    for version, option in (("TLSv1", "-tls1"), ("TLSv1.1", "-tls1_1"), ("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")):
        suite = "TLS_AES_256_GCM_SHA384" if version == "TLSv1.3" else _CLASSIC
        expected = (version, suite) if version in versions else None
        assert site.client.shake(option, *everything) == expected, version


def test_only_wanted_ciphers_are_used(site: Site) -> None:
    wanted = "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256"
    site.serve(_spec(termination(WEB_TEXT, ciphers=wanted)), WEB_TEXT)
    assert site.client.shake() == ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")
    assert site.client.shake("-tls1_2") == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert site.client.shake("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") is None
    assert site.client.shake("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256") is None
    # A list of TLS 1.3 suites alone leaves TLS 1.2 nothing, not what OpenSSL would have.
    site.serve(_spec(termination(WEB_TEXT, ciphers="TLS_AES_128_GCM_SHA256")), WEB_TEXT)
    assert site.client.shake("-tls1_2") is None
    assert site.client.shake() == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")


def test_strict_transport_security_is_on_every_answer(site: Site) -> None:
    hsts = HstsSpec(max_age=31536000, include_subdomains=True, preload=True)
    deny = PolicySpec(id="p1", action=Action.REJECT, rules=(_rule(RuleType.PATH, "/no"),))
    site.serve(_spec(termination(WEB_TEXT, hsts=hsts), policies=(deny,)), WEB_TEXT)
    for path, status in (("/", 200), ("/no", 403)):
        answer = site.client.ask(path)
        value = "max-age=31536000; includeSubDomains; preload;"
        assert (answer.status, answer.headers["strict-transport-security"]) == (status, value)
    site.serve(_spec(termination(WEB_TEXT, hsts=HstsSpec(max_age=0))), WEB_TEXT)
    assert site.client.ask().headers["strict-transport-security"] == "max-age=0;"
    site.serve(_spec(termination(WEB_TEXT)), WEB_TEXT)
    assert "strict-transport-security" not in site.client.ask().headers


def _rule(kind: RuleType, value: str, compare: CompareType = CompareType.EQUAL_TO, key: str | None = None) -> RuleSpec:
    return RuleSpec(type=kind, compare_type=compare, key=key, value=value)


def _authenticating(how: ClientAuthentication, crl: str | None = None, **changes: object) -> Spec:
    tls = termination(
        WEB_TEXT,
        client_authentication=how,
        client_ca=name_of(CA),
        client_crl=name_of(crl) if crl is not None else None,
    )
    return _spec(tls, **changes)


def test_client_certificates_are_asked_for_and_told_of(site: Site) -> None:
    names = (*SSL_HEADERS, "X-Forwarded-Proto", "X-Forwarded-Port")
    smuggled = dict.fromkeys(names, "smuggled")
    site.serve(_authenticating(ClientAuthentication.OPTIONAL, insert_headers=names), WEB_TEXT, CA)
    answer = site.client.ask("/echo", headers=smuggled)
    empty = {name.lower(): "" for name in SSL_HEADERS}
    expected = empty | {"x-ssl-client-verify": "0", "x-ssl-client-has-cert": "0"}
    expected |= {"x-forwarded-proto": "https", "x-forwarded-port": "443"}
    assert {name: answer.seen[name] for name in expected} == expected
    assert "smuggled" not in answer.seen.values()

    answer = site.client.ask("/echo", certificate=CLIENT, headers=smuggled)
    certificate = CLIENT.certificate
    assert {name: answer.seen[name] for name in expected} == {
        "x-ssl-client-verify": "0",
        "x-ssl-client-has-cert": "1",
        # The line break in the subject has become what is no header's end.
        "x-ssl-client-dn": '/CN=alice/O=Ali"ce, & sons%0AX-Evil: 1',
        "x-ssl-client-cn": "alice",
        "x-ssl-issuer": "/CN=root",
        "x-ssl-client-sha1": certificate.fingerprint(hashes.SHA1()).hex().upper(),
        "x-ssl-client-not-before": certificate.not_valid_before_utc.strftime("%y%m%d%H%M%SZ"),
        "x-ssl-client-not-after": certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ"),
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
    }
    assert "x-evil" not in answer.seen
    assert site.client.refused(STRANGER)


def test_mandatory_client_certificates_and_revocation(site: Site) -> None:
    crl = ROOT.revocation_list().decode()
    site.serve(_authenticating(ClientAuthentication.MANDATORY, crl), WEB_TEXT, CA, crl)
    assert site.client.ask(certificate=CLIENT).status == 200
    assert site.client.refused(None)
    assert site.client.refused(STRANGER)
    revoked = ROOT.revocation_list(CLIENT).decode()
    worker = site.lab.worker_pid("amphora-5")
    site.serve(_authenticating(ClientAuthentication.MANDATORY, revoked), WEB_TEXT, CA, revoked)
    assert site.client.refused(CLIENT)
    assert site.client.ask(certificate=Holder("bob", issuer=ROOT)).status == 200
    # Not at run time: HAProxy 2.6 would crash at a later renewal of the certificate.
    assert site.lab.worker_pid("amphora-5") != worker


@pytest.mark.parametrize(
    "rule, without, with_certificate",
    [
        (_rule(RuleType.SSL_CONN_HAS_CERT, "true"), "one", "two"),
        (_rule(RuleType.SSL_VERIFY_RESULT, "0"), "two", "two"),
        (_rule(RuleType.SSL_VERIFY_RESULT, "1"), "one", "one"),
        (_rule(RuleType.SSL_DN_FIELD, "ali", CompareType.STARTS_WITH, "CN"), "one", "two"),
        (_rule(RuleType.SSL_DN_FIELD, "sons", CompareType.CONTAINS, "O"), "one", "two"),
        (_rule(RuleType.SSL_DN_FIELD, "bob", key="CN"), "one", "one"),
    ],
)
def test_rules_look_at_client_certificates(site: Site, rule: RuleSpec, without: str, with_certificate: str) -> None:
    policy = PolicySpec(id="p1", action=Action.REDIRECT_TO_POOL, pool_id="pool-2", rules=(rule,))
    site.serve(_authenticating(ClientAuthentication.OPTIONAL, policies=(policy,)), WEB_TEXT, CA)
    assert site.client.ask().name == without
    assert site.client.ask(certificate=CLIENT).name == with_certificate


def test_a_plain_request_is_cut_off(site: Site) -> None:
    """Contract 95, section 4.1, wants it redirected. HAProxy reads a TLS hello on a `bind ... ssl` or nothing: what
    is none fails the handshake, before there is a request that a rule could redirect. Telling them apart first means
    a second HAProxy proxy before each listener: every byte would pass twice."""
    site.serve(_spec(termination(WEB_TEXT, versions=VERSIONS)), WEB_TEXT)
    assert site.lab.get(site.client.namespace, VIP, port=443) == (0, "")
    assert site.client.ask().status == 200
