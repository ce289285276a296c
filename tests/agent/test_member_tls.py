"""Members are reached over TLS: every option, as the member and its clients see it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import MonitorType, PoolProtocol
from livia.core.spec import ListenerSpec, MemberTlsSpec, Spec, name_of
from tests.agent.lab import VIP, Lab, listener, member, monitor, pool, single
from tests.agent.tls_site import CIPHERS, Client, member_tls, serve_tls, termination, tls_listener
from tests.keymaterial import INTERMEDIATE, ROOT, WEB, Holder
from tests.waiting import wait_for

WEB_TEXT = WEB.text(INTERMEDIATE)
#: members are asked for the name that their clients ask for
MEMBER = Holder("member", dns_names=("www.example.net",), issuer=ROOT)
STRANGER = Holder("stranger", dns_names=("www.example.net",))
BALANCER = Holder("balancer", issuer=ROOT)
CA = ROOT.pem.decode()
CRL = ROOT.revocation_list().decode()
REVOKED = ROOT.revocation_list(MEMBER).decode()
EVERY_TEXT = (WEB_TEXT, CA, CRL, REVOKED, BALANCER.text())


class Site:
    """Members m1 (trusted), m2 (trusted, demands a certificate, speaks HTTP/2), m3 (not trusted)."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = Client(lab, lab.namespace("client", "172.31.213.100"))
        one, two, three = (lab.namespace(f"m{number}", f"172.31.213.{10 + number}") for number in (1, 2, 3))
        self.processes = [
            serve_tls(lab, one, "one", MEMBER),
            serve_tls(lab, two, "two", MEMBER, authority=ROOT, alpn="h2,http/1.1"),
            serve_tls(lab, three, "three", STRANGER),
        ]
        self._generation = 0

    def serve(self, spec: Spec) -> None:
        self._generation += 1
        self.lab.apply(spec, self._generation, EVERY_TEXT)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lab = Lab(tmp_path_factory.mktemp("members"))
    made: Site | None = None
    try:
        lab.start()
        made = Site(lab)
        yield made
    finally:
        if made is not None:
            made.close()
        lab.close()


def _spec(tls: MemberTlsSpec, *numbers: int, before: ListenerSpec | None = None, **changes: Any) -> Spec:
    members = tuple(member(number, port=443) for number in numbers)
    front = tls_listener(termination(WEB_TEXT)) if before is None else before
    return single((pool(*members, tls=tls, **changes),), (front,))


def test_a_member_is_asked_in_its_clients_name(site: Site) -> None:
    site.serve(_spec(member_tls(ca=name_of(CA)), 1))
    answer = site.client.ask()
    assert (answer.name, answer.seen["tls-sni"], answer.seen["tls-alpn"]) == ("one", "www.example.net", "http/1.1")
    assert answer.seen["tls-version"] == "TLSv1.3"
    # Its certificate is for that name only.
    assert site.client.ask(name="example.net").status == 503


def test_without_authority_any_member_will_do(site: Site) -> None:
    site.serve(_spec(member_tls(), 3))
    assert site.client.ask().name == "three"
    site.serve(_spec(member_tls(ca=name_of(CA)), 3))
    assert site.client.ask().status == 503


def test_a_revoked_member_gets_nothing(site: Site) -> None:
    site.serve(_spec(member_tls(ca=name_of(CA), crl=name_of(CRL)), 1))
    assert site.client.ask().name == "one"
    worker = site.lab.worker_pid("amphora-5")
    site.serve(_spec(member_tls(ca=name_of(CA), crl=name_of(REVOKED)), 1))
    # By a reload: at run time HAProxy 2.6 takes another list, says Success, and uses the old one.
    assert site.client.ask().status == 503
    assert site.lab.worker_pid("amphora-5") != worker
    assert name_of(CRL) not in _sealed(site)


def _sealed(site: Site) -> set[str]:
    directory = site.lab.config.state_directory / "amphorae" / "amphora-5" / "sealed"
    return {path.name for path in directory.iterdir()}


def test_members_see_our_certificate_and_speak_http_2(site: Site) -> None:
    site.serve(_spec(member_tls(alpn=("h2", "http/1.1")), 2))
    assert site.client.ask().status in (502, 503)
    tls = member_tls(certificate=name_of(BALANCER.text()), ca=name_of(CA), alpn=("h2", "http/1.1"))
    site.serve(_spec(tls, 2))
    answer = site.client.ask()
    assert (answer.name, answer.seen["tls-client"], answer.seen["tls-alpn"]) == ("two", "balancer", "h2")


def test_versions_and_ciphers(site: Site) -> None:
    site.serve(_spec(member_tls(versions=("TLSv1.2",), ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"), 1))
    answer = site.client.ask()
    assert answer.seen["tls-version"] == "TLSv1.2"
    assert answer.seen["tls-cipher"] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    site.serve(_spec(member_tls(versions=("TLSv1.3",), ciphers="TLS_CHACHA20_POLY1305_SHA256"), 1))
    assert site.client.ask().seen["tls-cipher"] == "TLS_CHACHA20_POLY1305_SHA256"


@pytest.mark.parametrize("protocol", [ListenerProtocol.HTTP, ListenerProtocol.TCP])
def test_plain_listeners_reach_members_over_tls(site: Site, protocol: ListenerProtocol) -> None:
    plain = listener(protocol=protocol)
    site.serve(_spec(member_tls(ca=name_of(CA), alpn=("h2", "http/1.1")), 1, before=plain))
    status, text = site.lab.get(site.client.namespace, VIP)
    assert (status, text.splitlines()[0]) == (200, "one")
    assert "tls-sni: None" in text


@pytest.mark.parametrize("kind", [MonitorType.HTTP, MonitorType.HTTPS, MonitorType.TCP, MonitorType.TLS_HELLO])
def test_members_are_checked_as_they_are_used(site: Site, kind: MonitorType) -> None:
    tls = member_tls(certificate=name_of(BALANCER.text()), ca=name_of(CA), alpn=("h2", "http/1.1"))
    spec = _spec(tls, 1, 2, 3, monitor=monitor(type=kind, http_version=1.1, domain_name="www.example.net"))
    site.serve(spec)
    expected = {"m1": "UP", "m2": "UP", "m3": "DOWN"}
    site.lab.hear(lambda beat: _members(beat) == expected)


def _members(beat: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = beat.get("pools", {}).get("pool-1:listener-1", {}).get("members", {})
    return found


def test_members_come_at_run_time(site: Site) -> None:
    tls = member_tls(certificate=name_of(BALANCER.text()), ca=name_of(CA), crl=name_of(CRL), ciphers=CIPHERS)
    check = monitor(type=MonitorType.TCP)
    site.serve(_spec(tls, 1, monitor=check))
    worker = site.lab.worker_pid("amphora-5")
    site.serve(_spec(tls, 2, monitor=check))
    answer = site.client.ask()
    assert (answer.name, answer.seen["tls-client"], answer.seen["tls-sni"]) == ("two", "balancer", "www.example.net")
    site.lab.hear(lambda beat: _members(beat) == {"m2": "UP"})
    assert site.lab.worker_pid("amphora-5") == worker
    site.serve(_spec(tls, monitor=check))
    site.serve(_spec(tls, 3, monitor=check))
    assert site.client.ask().status == 503


def test_what_a_pool_says_of_tls_is_not_changed_by_halves(site: Site) -> None:
    site.serve(_spec(member_tls(), 3))
    assert site.client.ask().name == "three"
    site.serve(_spec(member_tls(ca=name_of(CA)), 3))
    assert site.client.ask().status == 503


_INTRODUCED = """
import socket, sys
server = socket.create_server(("", 81))
while True:
    stream, _ = server.accept()
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        data += stream.recv(65536) or sys.exit()
    body = data[: 16 + int.from_bytes(data[14:16], "big")].hex().encode()
    stream.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    stream.close()
"""


def test_proxy_protocol_tells_of_the_clients_tls(site: Site) -> None:
    namespace = site.client.namespace
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", _INTRODUCED]
    site.processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    front = tls_listener(termination(WEB_TEXT, client_authentication="OPTIONAL", client_ca=name_of(CA)))
    target = member(1, address="172.31.213.100", port=81)
    site.serve(single((pool(target, protocol=PoolProtocol.PROXYV2),), (front,)))
    wait_for(lambda: site.client.ask().status == 200)
    header = bytes.fromhex(site.client.ask(certificate=BALANCER).name)
    # PROXY protocol, section 2.2: the signature, then TLVs, among them PP2_TYPE_SSL with the client's common name.
    assert header.startswith(b"\r\n\r\n\x00\r\nQUIT\n")
    assert b"TLSv1.3" in header
    assert b"\x22\x00\x08balancer" in header
