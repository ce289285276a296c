"""Cross-object rules by value; over HTTP they are walked in tests/api."""

import pytest

from livia.core.drivers import FixedIp, Port, Subnet
from livia.core.rules import capabilities, graph, listeners, members, monitors, persistence, protocols, tls, vip
from livia.core.rules.verdict import ACCEPT, Accept, Refuse, Verdict, first, invalid

MATRIX = {
    "TCP": "HTTP HTTPS PROXY PROXYV2 TCP",
    "HTTP": "HTTP PROXY PROXYV2",
    "HTTPS": "HTTPS PROXY PROXYV2 TCP",
    "TERMINATED_HTTPS": "HTTP PROXY PROXYV2",
    "UDP": "UDP",
    "SCTP": "SCTP",
    "PROMETHEUS": "",
}
POOLS = ("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP")


@pytest.mark.parametrize("listener", list(MATRIX))
@pytest.mark.parametrize("pool", POOLS)
def test_pools_of_listeners(listener: str, pool: str) -> None:
    verdict = protocols.pool_fits_listener(pool, listener)
    assert isinstance(verdict, Accept) is (pool in MATRIX[listener].split())
    if isinstance(verdict, Refuse):
        assert verdict.status == 400
        assert f"'{pool}' is invalid while the listener protocol is '{listener}'." in verdict.text


@pytest.mark.parametrize("one", list(MATRIX))
@pytest.mark.parametrize("other", list(MATRIX))
def test_shared_ports(one: str, other: str) -> None:
    datagram = {"UDP", "SCTP"}
    conflict = one == other or not ({one, other} & datagram)
    verdict = protocols.port_is_free(one, 80, [(other, 80), (one, 81)])
    assert isinstance(verdict, Refuse) is conflict
    if isinstance(verdict, Refuse):
        assert (verdict.status, f"protocol {other} and protocol_port 80" in verdict.text) == (409, True)


def test_the_first_refusal_counts() -> None:
    assert first() == ACCEPT
    assert first(ACCEPT, invalid("a"), invalid("b")) == Refuse(400, "Validation failure: a")


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP"])
def test_monitors_of_pools(kind: str, pool: str) -> None:
    datagram = kind in ("UDP-CONNECT", "SCTP", "TCP", "HTTP")
    fits = datagram if pool in ("UDP", "SCTP") else kind not in ("UDP-CONNECT", "SCTP")
    assert isinstance(monitors.type_fits_pool(kind, pool), Accept) is fits


@pytest.mark.parametrize(
    "kind, delay, least, fine",
    [
        ("UDP-CONNECT", 2, 3, False),
        ("UDP-CONNECT", 3, 3, True),
        ("UDP-CONNECT", 0, -1, True),
        ("HTTP", 0, 3, True),
    ],
)
def test_delays(kind: str, delay: int, least: int, fine: bool) -> None:
    assert isinstance(monitors.delay_is_long_enough(kind, delay, least), Accept) is fine


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_persistence_without_connections(protocol: str) -> None:
    full = {"type": "SOURCE_IP", "persistence_timeout": 5, "persistence_granularity": "255.0.0.0"}
    assert persistence.acceptable(protocol, full) == ACCEPT
    assert isinstance(persistence.acceptable(protocol, {"type": "HTTP_COOKIE"}), Refuse)


def test_persistence_merges_only_the_type() -> None:
    stored = {"type": "APP_COOKIE", "cookie_name": "a", "persistence_timeout": None, "persistence_granularity": None}
    assert persistence.merged(stored, None) is None
    assert persistence.merged(stored, {}) == {**stored, "cookie_name": None}


@pytest.mark.parametrize(
    "listener, given, text",
    [
        ({"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "c"}, {"default_tls_container_ref": None}, None),
        ({"protocol": "TERMINATED_HTTPS", "sni_container_refs": ["c"]}, {"default_tls_container_ref": None}, None),
        (
            {"protocol": "TERMINATED_HTTPS"},
            {"default_tls_container_ref": None},
            "must be provided for TERMINATED_HTTPS",
        ),
        ({"protocol": "PROMETHEUS", "default_tls_container_ref": "c"}, {"default_tls_container_ref": "c"}, None),
        (
            {"protocol": "PROMETHEUS", "client_ca_tls_container_ref": "a"},
            {"default_tls_container_ref": None},
            "must be provided with a client CA",
        ),
        ({"protocol": "UDP"}, {"sni_container_refs": ["c"]}, "does not support TLS or header insertion"),
    ],
)
def test_certificates(listener: dict[str, object], given: dict[str, object], text: str | None) -> None:
    verdict: Verdict = listeners.certificates_fit(listener, given, updating=True)
    assert (text is None) is isinstance(verdict, Accept)
    assert text is None or (isinstance(verdict, Refuse) and text in verdict.text)


def test_datagram_listeners_insert_no_headers_on_update() -> None:
    verdict = listeners.headers_fit("UDP", {"X-Forwarded-For": "true"}, updating=True)
    assert verdict == invalid("UDP protocol listener does not support TLS or header insertion")


def test_tls_versions_are_ordered() -> None:
    assert tls.versions_allowed(["TLSv1.2", "TLSv1.3"], "TLSv1.2") == ACCEPT
    assert isinstance(tls.versions_allowed(["SSLv3"], "TLSv1"), Refuse)
    assert tls.versions_allowed(None, "TLSv1.3") == ACCEPT


def test_a_batch_is_compared_with_what_is_there() -> None:
    a, b, c = ("10.0.0.1", 80), ("10.0.0.2", 80), ("10.0.0.3", 80)
    plan = members.batch([a, b], [b, c], additive=False)
    assert plan == members.Batch(create=(c,), update=(b,), delete=(a,))
    assert plan.growth == 0
    additive = members.batch([a, b], [b, c], additive=True)
    assert isinstance(additive, members.Batch)
    assert (additive.delete, additive.growth) == ((), 1)
    assert members.batch([a], [a, a], additive=False) == Refuse(
        400, "Member must be updated only once in the same request."
    )
    assert members.batch([], [a, a], additive=False) == members.duplicate(*a)


def test_references_and_definitions() -> None:
    definition = {"name": "a", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    found = graph.pools_of([definition], [{"name": "a", "admin_state_up": True}, None, {**definition, "name": "b"}])
    assert found == graph.Pools((definition, {**definition, "name": "b"}), (0, None, 1))
    assert graph.pools_of([{**definition, "name": ""}, {**definition, "name": ""}], []) == graph.Pools(
        ({**definition, "name": ""}, {**definition, "name": ""}), ()
    )


def test_the_vip_goes_to_the_first_subnet_with_room() -> None:
    def subnet(name: str, cidr: str, free: int) -> Subnet:
        return Subnet(id=name, network_id="n", cidr=cidr, free=free)

    subnets = [subnet("six", "2001:db8::/64", 9), subnet("full", "10.0.0.0/24", 2), subnet("four", "10.1.0.0/24", 3)]
    assert vip.subnet_of_network(subnets, None, "SINGLE") == "full"
    assert vip.subnet_of_network(subnets, None, "ACTIVE_STANDBY") == "four"
    assert vip.subnet_of_network(subnets[:2], None, "ACTIVE_STANDBY") == "six"
    assert vip.subnet_of_network(subnets, "2001:db8::1", "SINGLE") == "six"


def test_addresses_of_ports_are_compared_as_addresses() -> None:
    fixed = (FixedIp(subnet_id="s", ip_address="2001:db8::1"),)
    port = Port(id="p", name="", network_id="n", mac="", fixed_ips=fixed)
    assert vip.address_of_port(port, None, "2001:db8:0:0:0:0:0:1") == ("s", "2001:db8::1")
    assert isinstance(vip.address_of_port(port, None, "2001:db8::2"), Refuse)


@pytest.mark.parametrize(
    "kind, values, fine",
    [
        ("listener", {"protocol": "HTTP"}, True),
        ("listener", {"protocol": "SCTP"}, True),
        ("listener", {"protocol": "PROMETHEUS"}, True),
        ("pool", {"tls_enabled": False}, True),
        ("pool", {"tls_enabled": True}, True),
        ("pool", {}, True),
        (capabilities.DATAGRAM_POOL, {}, True),
        (capabilities.DATAGRAM_POOL, {"tls_enabled": True}, False),
        ("health monitor", {"type": "TLS-HELLO"}, True),
        ("health monitor", {"type": "PING"}, True),
    ],
)
def test_capabilities(kind: str, values: dict[str, object], fine: bool) -> None:
    verdict = capabilities.supported(capabilities.AGENT_LIMITS, "octavia", kind, values)
    assert isinstance(verdict, Accept) is fine
    if isinstance(verdict, Refuse):
        assert verdict.status == 501
        assert verdict.text.startswith("Provider 'octavia' does not support a requested option: ")
    assert capabilities.supported(capabilities.NO_LIMITS, "octavia", kind, values) == ACCEPT


@pytest.mark.parametrize(
    "ciphers, fine",
    [
        ("ECDHE+AESGCM:!aNULL", True),
        ("NOBODY-KNOWS-IT:AES128-SHA", True),
        ("TLS_AES_128_GCM_SHA256", True),
        ("TLS_AES_128_GCM_SHA256:TLS_OTHER", True),
        ("NOBODY-KNOWS-IT", False),
        ("TLS_OTHER:AES128-SHA", False),
        ("-ALL", False),
        ("ALL:@SECLEVEL=9", False),
    ],
)
def test_cipher_lists_select_something(ciphers: str, fine: bool) -> None:
    assert (tls.ciphers_allowed(ciphers, "") == ACCEPT) is fine
    assert isinstance(tls.ciphers_usable("TLS_AES_128_GCM_SHA256", ("TLSv1.2",)), Refuse)
    assert tls.ciphers_usable("TLS_AES_128_GCM_SHA256", ("TLSv1.2", "TLSv1.3")) == ACCEPT
