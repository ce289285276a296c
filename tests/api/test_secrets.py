"""Key material by reference: what listeners and pools accept, and what is said of others (contract 20, rows 21-24)."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livia.core.clock import SystemClock
from livia.core.drivers import SecretStore, Unreachable
from livia.core.model.secret import Material
from livia.core.rules.capabilities import NO_LIMITS
from livia.drivers.secrets.local import LocalVault
from livia.services.context import new_uuid
from livia.store.engine import Database
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness, Tree
from tests.keymaterial import INTERMEDIATE, NAMELESS, OTHER, ROOT, WEB

VALID = "Validation failure: "
LOST = "Could not retrieve certificate: "
BAD_CA = f"{VALID}The client authentication CA certificate is invalid."
BAD_CRL = f"{VALID}The client authentication certificate revocation list is invalid"
FOREIGN_CRL = f"{VALID}The CRL specified is not valid for client certificate authority reference supplied."

MATERIAL = {
    "web": Material(content=WEB.pem, private_key=WEB.key_pem(), intermediates=INTERMEDIATE.pem),
    "bundle": Material(content=WEB.pkcs12(chain=[INTERMEDIATE])),
    "nameless": Material(content=NAMELESS.pem, private_key=NAMELESS.key_pem()),
    "keyless": Material(content=WEB.pem),
    "wrong key": Material(content=WEB.pem, private_key=OTHER.key_pem()),
    "no chain": Material(content=WEB.pem, private_key=WEB.key_pem(), intermediates=b"none"),
    "garbage": Material(content=b"garbage"),
    "bad bundle": Material(content=b"0garbage"),
    "ca": Material(content=OTHER.pem + ROOT.pem),
    "crl": Material(content=ROOT.revocation_list()),
    "foreign crl": Material(content=INTERMEDIATE.revocation_list()),
}
FOREIGN_PROJECT = "somebody else's"


class Vault:
    """The built-in vault with everything of `MATERIAL` in it, by name."""

    def __init__(self, database: Database) -> None:
        self.store = LocalVault(database, b"k" * 32, SystemClock())
        self.references = {name: self.add(material) for name, material in MATERIAL.items()}
        self.references[FOREIGN_PROJECT] = self.add(MATERIAL["web"], project_id="another")
        self.references["unknown"] = f"livia://secrets/{uuid4()}"
        self.references["url"] = "https://keys.example.net/v1/containers/4c0a3f0e"

    def add(self, material: Material, *, project_id: str | None = None) -> str:
        return self.store.add(new_uuid(), material, project_id=project_id)

    def values(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes with references instead of names."""

        def of(value: Any) -> Any:
            return [self.references[each] for each in value] if isinstance(value, list) else self.references[value]

        return {
            attribute: of(value) if attribute.endswith(("_ref", "_refs")) and value is not None else value
            for attribute, value in named.items()
        }

    def text(self, text: str) -> str:
        """A fault string with references instead of `<name>`."""
        for name, reference in self.references.items():
            text = text.replace(f"<{name}>", reference)
        return text


@pytest.fixture
def vault(database: Database) -> Vault:
    return Vault(database)


@pytest.fixture
def tls(database: Database, vault: Vault) -> Harness:
    """The application on a data plane that terminates TLS."""
    return Harness(database, secrets=vault.store, limits=NO_LIMITS)


@pytest.fixture
def tree(tls: Harness) -> Tree:
    return tls.tree()


#: attributes of a TERMINATED_HTTPS listener, fault string
LISTENERS: list[tuple[dict[str, Any], str]] = [
    *(
        ({"default_tls_container_ref": name}, f"{LOST}['<{name}>']: <{name}> {why}.")
        for name, why in (
            ("unknown", "is not known to the secret store"),
            ("url", "is not known to the secret store"),
            (FOREIGN_PROJECT, "is not known to the secret store"),
            ("garbage", "holds no certificate in PEM form"),
            ("keyless", "has no private key in PEM form"),
            ("ca", "has no private key in PEM form"),
            ("wrong key", "has a private key that does not belong to its certificate"),
            ("no chain", "has intermediates without a certificate in PEM form"),
        )
    ),
    ({"sni_container_refs": ["web", "unknown"]}, f"{LOST}['<unknown>']: "),
    (
        {"default_tls_container_ref": "garbage", "sni_container_refs": ["unknown", "web", "url"]},
        f"{LOST}['<garbage>', '<unknown>', '<url>']: ",
    ),
    (
        {
            "default_tls_container_ref": "web",
            "client_ca_tls_container_ref": "unknown",
            "client_crl_container_ref": "url",
        },
        f"{LOST}['<unknown>', '<url>']: ",
    ),
    ({"default_tls_container_ref": "bad bundle"}, "The PKCS12 bundle is unreadable: <bad bundle> is no PKCS12 bundle"),
    ({"default_tls_container_ref": "bad bundle", "sni_container_refs": ["unknown"]}, f"{LOST}['<unknown>']"),
    ({"default_tls_container_ref": "nameless"}, "No CN or DNSName(s) found"),
    ({"default_tls_container_ref": "web", "sni_container_refs": ["nameless"]}, "No CN or DNSName(s) found"),
    *(
        ({"default_tls_container_ref": "web", "client_ca_tls_container_ref": name}, BAD_CA)
        for name in ("garbage", "bad bundle", "crl")
    ),
    *(
        (
            {
                "default_tls_container_ref": "web",
                "client_ca_tls_container_ref": "ca",
                "client_crl_container_ref": name,
            },
            fault,
        )
        for name, fault in (("garbage", BAD_CRL), ("ca", BAD_CRL), ("foreign crl", FOREIGN_CRL))
    ),
    # The order of rows: ciphers before, ports and TLS versions after.
    ({"default_tls_container_ref": "unknown", "tls_ciphers": "a b"}, f"{VALID}Invalid characters in cipher string"),
    ({"default_tls_container_ref": "unknown", "protocol_port": 80, "tls_versions": []}, LOST),
]
#: a listener that is accepted
GOOD = {
    "default_tls_container_ref": "web",
    "sni_container_refs": ["bundle", "web"],
    "client_ca_tls_container_ref": "ca",
    "client_authentication": "MANDATORY",
    "client_crl_container_ref": "crl",
}


def listener_body(tree: Tree, vault: Vault, named: Mapping[str, Any]) -> dict[str, Any]:
    return {**tree.minimal("listener"), "protocol": "TERMINATED_HTTPS", **vault.values(named)}


def test_listeners_with_bad_references(tls: Harness, tree: Tree, vault: Vault) -> None:
    for named, text in LISTENERS:
        fault = tls.refused("POST", "/listeners", {"listener": listener_body(tree, vault, named)}, 400)
        assert fault.startswith(vault.text(text)), (named, fault)
        good = [name for name in ("web", "bundle") if vault.references[name] in fault]
        assert not good, (named, fault)


def test_listeners_with_good_references(tls: Harness, tree: Tree, vault: Vault) -> None:
    body = listener_body(tree, vault, GOOD)
    created = tls.accepted(tls.client.post("/listeners", {"listener": body}))
    expected = {**vault.values(GOOD), "sni_container_refs": sorted(body["sni_container_refs"])}
    assert {name: created[name] for name in expected} == expected
    metrics = {"protocol": "PROMETHEUS", "default_tls_container_ref": vault.references["bundle"], "protocol_port": 9100}
    tls.listener(tree.load_balancer, **metrics)


def test_updates_with_bad_references(tls: Harness, tree: Tree, vault: Vault) -> None:
    created = tls.listener(tree.load_balancer, **listener_body(tree, vault, GOOD))
    path = f"/listeners/{created['id']}"
    for named, text in LISTENERS:
        changes = {name: value for name, value in vault.values(named).items() if name != "protocol_port"}
        fault = tls.refused("PUT", path, {"listener": changes}, 400)
        assert fault.startswith(vault.text(text)), (named, fault)
    lone = {"listener": vault.values({"client_crl_container_ref": "foreign crl"})}
    tls.refused("PUT", path, lone, 400, FOREIGN_CRL)
    without = {"listener": {"client_ca_tls_container_ref": None}}
    tls.refused("PUT", path, without, 400, "requires a client CA container reference.")
    assert tls.client.put(path, {"listener": {"default_tls_container_ref": None}}).status == 200
    off = {"client_ca_tls_container_ref": None, "client_crl_container_ref": None, "client_authentication": None}
    assert tls.client.put(path, {"listener": off}).status == 200


def test_stored_authorities_are_read_again(tls: Harness, tree: Tree, vault: Vault) -> None:
    created = tls.listener(tree.load_balancer, **listener_body(tree, vault, GOOD))
    path = f"/listeners/{created['id']}"
    assert tls.client.put(path, {"listener": {"name": "a"}}).status == 200
    # Certificates that are stored and not sent are left alone.
    for name in ("web", "bundle"):
        vault.store.remove(vault.references[name], force=True)
    assert tls.client.put(path, {"listener": {"name": "b"}}).status == 200
    vault.store.remove(vault.references["ca"], force=True)
    text = vault.text(f"{LOST}['<ca>']: ")
    assert tls.refused("PUT", path, {"listener": {"name": "c"}}, 400).startswith(text)
    renewed = {"client_ca_tls_container_ref": vault.add(MATERIAL["ca"]), "name": "d"}
    assert tls.client.put(path, {"listener": renewed}).status == 200


#: attributes of a pool that is sent to an empty one, fault string
POOLS: list[tuple[dict[str, Any], str]] = [
    ({"tls_container_ref": "unknown"}, f"{LOST}['<unknown>']: "),
    ({"tls_container_ref": "ca"}, f"{LOST}['<ca>']: <ca> has no private key"),
    ({"tls_container_ref": "nameless"}, "No CN or DNSName(s) found"),
    ({"tls_container_ref": "bad bundle"}, "The PKCS12 bundle is unreadable"),
    (
        {"tls_container_ref": "garbage", "ca_tls_container_ref": "unknown", "crl_container_ref": "url"},
        f"{LOST}['<garbage>', '<unknown>', '<url>']: ",
    ),
    ({"ca_tls_container_ref": "garbage"}, BAD_CA),
    ({"ca_tls_container_ref": "ca", "crl_container_ref": "garbage"}, BAD_CRL),
    ({"ca_tls_container_ref": "ca", "crl_container_ref": "foreign crl"}, FOREIGN_CRL),
    # The order of rows: a CRL without its CA before, ciphers after.
    ({"crl_container_ref": "unknown"}, f"{VALID}A CA certificate reference is required"),
    ({"tls_container_ref": "unknown", "tls_ciphers": "a b"}, LOST),
]


def test_pools_with_bad_references(tls: Harness, tree: Tree, vault: Vault) -> None:
    for named, text in POOLS:
        values = vault.values(named)
        created = tls.refused("POST", "/pools", {"pool": {**tree.minimal("pool"), **values}}, 400)
        assert created.startswith(vault.text(text)), (named, created)
        changed = tls.refused("PUT", tree.paths["pool"], {"pool": values}, 400)
        assert changed.startswith(vault.text(text)), (named, changed)


def test_pools_with_good_references(tls: Harness, tree: Tree, vault: Vault) -> None:
    named = {"tls_container_ref": "bundle", "ca_tls_container_ref": "ca", "crl_container_ref": "crl"}
    values = {"tls_enabled": True, **vault.values(named)}
    created = tls.pool(loadbalancer_id=tree.load_balancer, **values)
    assert {name: created[name] for name in values} == values
    path = f"/pools/{created['id']}"
    foreign = vault.values({"crl_container_ref": "foreign crl"})
    tls.refused("PUT", path, {"pool": foreign}, 400, FOREIGN_CRL)
    tls.refused("PUT", path, {"pool": vault.values({"ca_tls_container_ref": "crl"})}, 400, BAD_CA)
    # What is stored counts again when its partner changes, and only then.
    vault.store.remove(vault.references["crl"], force=True)
    assert tls.client.put(path, {"pool": {"name": "a"}}).status == 200
    renewed = {"pool": {"ca_tls_container_ref": vault.add(MATERIAL["ca"])}}
    assert tls.refused("PUT", path, renewed, 400).startswith(vault.text(f"{LOST}['<crl>']: "))
    off = {"ca_tls_container_ref": None, "crl_container_ref": None, "tls_container_ref": None}
    assert tls.client.put(path, {"pool": off}).status == 200


def test_a_whole_load_balancer_with_references(tls: Harness, vault: Vault) -> None:
    def body(listener: Mapping[str, Any], pool: Mapping[str, Any]) -> dict[str, Any]:
        listeners = [{"protocol": "TERMINATED_HTTPS", "protocol_port": 443, **vault.values(listener)}]
        pools = [{"name": "blue", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **vault.values(pool)}]
        return {"loadbalancer": {"vip_subnet_id": SUBNET, "listeners": listeners, "pools": pools}}

    for named, text in LISTENERS:
        fault = tls.refused("POST", "/loadbalancers", body(named, {}), 400)
        assert fault.startswith(vault.text(text)), (named, fault)
    for named, text in POOLS:
        fault = tls.refused("POST", "/loadbalancers", body(GOOD, named), 400)
        assert fault.startswith(vault.text(text)), (named, fault)
    created = tls.accepted(tls.client.post("/loadbalancers", body(GOOD, {"tls_container_ref": "web"})))
    assert created["listeners"][0]["default_tls_container_ref"] == vault.references["web"]
    assert created["pools"][0]["tls_container_ref"] == vault.references["web"]


class SilentStore:
    """A secret store that does not answer."""

    def read(self, reference: str, project_id: str | None) -> Material:
        raise Unreachable("cannot be asked for: the key manager does not answer")


class SwitchingStore:
    """A secret store during whose answer another request changes the listener."""

    def __init__(self, store: SecretStore) -> None:
        self.store = store
        self.meanwhile: list[Any] = []

    def read(self, reference: str, project_id: str | None) -> Material:
        while self.meanwhile:
            self.meanwhile.pop()()
        return self.store.read(reference, project_id)


def test_a_store_that_does_not_answer(make: MakeHarness, vault: Vault) -> None:
    harness = make(secrets=SilentStore(), limits=NO_LIMITS)
    tree = harness.tree()
    body = {"listener": listener_body(tree, vault, {"default_tls_container_ref": "web"})}
    harness.refused("POST", "/listeners", body, 400, vault.text(f"{LOST}['<web>']"), "does not answer")


def test_an_authority_that_changes_meanwhile(make: MakeHarness, vault: Vault) -> None:
    store = SwitchingStore(vault.store)
    harness = make(secrets=store, limits=NO_LIMITS)
    tree = harness.tree()
    created = harness.listener(tree.load_balancer, **listener_body(tree, vault, GOOD))
    path = f"/listeners/{created['id']}"
    other = vault.add(MATERIAL["ca"])

    def change() -> None:
        assert harness.client.put(path, {"listener": {"client_ca_tls_container_ref": other}}).status == 200

    store.meanwhile.append(change)
    answer = harness.client.put(path, {"listener": {"name": "late"}})
    assert (answer.status, answer.fault) == (
        409,
        f"Load Balancer {tree.load_balancer} is immutable and cannot be updated.",
    )
    shown = harness.client.get(path).json["listener"]
    assert (shown["name"], shown["client_ca_tls_container_ref"]) == ("", other)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reference=st.text(max_size=300), content=st.binary(max_size=200))
def test_no_reference_and_no_material_is_too_much(
    tls: Harness, tree: Tree, vault: Vault, reference: str, content: bytes
) -> None:
    stored = vault.add(Material(content=content, private_key=content, passphrase=content))
    for item, names in (("listener", ("default_tls_container_ref",)), ("pool", ("ca_tls_container_ref",))):
        for value in (reference, stored):
            body = listener_body(tree, vault, {}) if item == "listener" else tree.minimal("pool")
            answer = tls.client.post(f"/{item}s", {item: {**body, **dict.fromkeys(names, value)}})
            # An empty reference is none, and a pool needs none.
            assert answer.status == (201 if item == "pool" and not value else 400), (item, value, answer.body)
