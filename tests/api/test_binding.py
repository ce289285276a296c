"""Key material kept with the load balancer that names it: bound, refreshed, and dropped (design, section 8)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from livia.core.clock import SystemClock
from livia.core.drivers import SealBroken
from livia.core.model.secret import Material, Named, Use
from livia.core.rules.capabilities import NO_LIMITS
from livia.drivers.secrets.local import LocalVault
from livia.services import renewal
from livia.services.context import Context, new_uuid
from livia.store import bindings, confirmation
from livia.store import tables as t
from livia.store.engine import Database
from tests.api.harness import SUBNET, Harness
from tests.database import NOW
from tests.keymaterial import INTERMEDIATE, OTHER, ROOT, WEB

WEB_PEM = (WEB.pem + INTERMEDIATE.pem + WEB.key_pem()).decode()
OTHER_PEM = (OTHER.pem + OTHER.key_pem()).decode()


class Vault(LocalVault):
    """One in which something may happen right after a secret was read."""

    meanwhile: Callable[[], object] | None = None

    def read(self, reference: str, project_id: str | None) -> Material:
        found = super().read(reference, project_id)
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        return found


class Bound:
    """The application with a vault, and what it keeps of it for one load balancer."""

    def __init__(self, database: Database) -> None:
        self.vault = Vault(database, b"k" * 32, SystemClock())
        self.harness = Harness(database, secrets=self.vault, limits=NO_LIMITS)
        self.web = self.keep(Material(content=WEB.pem, private_key=WEB.key_pem(), intermediates=INTERMEDIATE.pem))
        self.other = self.keep(Material(content=OTHER.pkcs12()))
        self.ca = self.keep(Material(content=ROOT.pem + OTHER.pem))
        self.crl = self.keep(Material(content=ROOT.revocation_list()))
        self.key = ""

    def keep(self, material: Material) -> str:
        return self.vault.add(new_uuid(), material)

    def begin(self) -> None:
        self.key = self.harness.load_balancer()["id"]

    def listener(self, **values: object) -> str:
        wanted = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, **values}
        found: str = self.harness.listener(self.key, **wanted)["id"]
        return found

    def put(self, path: str, **values: object) -> None:
        item = "listener" if path.startswith("/listeners") else "pool"
        self.harness.accepted(self.harness.client.put(path, {item: values}), 200)

    def replace(self, reference: str, material: Material) -> None:
        """What `livia secret replace` does."""

        def act() -> None:
            self.vault.replace(reference, material)
            renewal.renew(self.harness.deps, Context(is_admin=True), reference)

        self.harness.database.together(act)

    def confirm(self) -> None:
        """Every amphora runs the newest generation."""
        generation = self.harness.generation("load_balancer", self.key)
        self.harness.database.transaction(lambda each: confirmation.confirm(each, self.key, generation, NOW))

    def sealed(self) -> dict[Named, bytes]:
        with self.harness.database.read() as connection:
            return bindings.every(connection, self.key)

    def pems(self) -> dict[tuple[str, str], str]:
        """Use and reference to the text that is kept."""
        seal = self.harness.deps.seal
        return {
            (each.use.value, each.reference): seal.open(sealed, bindings.place(self.key, each)).decode()
            for each, sealed in self.sealed().items()
        }

    def references(self) -> set[str]:
        return {reference for _use, reference in self.pems()}


@pytest.fixture
def bound(database: Database) -> Bound:
    found = Bound(database)
    found.begin()
    return found


def test_what_is_named_is_kept_as_the_data_plane_wants_it(bound: Bound) -> None:
    bound.listener(
        default_tls_container_ref=bound.web,
        sni_container_refs=[bound.other, bound.web],
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=bound.ca,
        client_crl_container_ref=bound.crl,
    )
    bound.harness.pool(loadbalancer_id=bound.key, tls_enabled=True, ca_tls_container_ref=bound.ca)
    assert bound.pems() == {
        ("certificate", bound.web): WEB_PEM,
        ("certificate", bound.other): OTHER_PEM,
        ("authority", bound.ca): (ROOT.pem + OTHER.pem).decode(),
        ("revocation list", bound.crl): bound.vault.read(bound.crl, None).content.decode(),
    }


def test_on_every_database(anywhere: Harness) -> None:
    bound = Bound(anywhere.database)
    bound.begin()
    listener = bound.listener(default_tls_container_ref=bound.web, sni_container_refs=[bound.other])
    bound.put(f"/listeners/{listener}", sni_container_refs=[], default_tls_container_ref=bound.web)
    assert bound.references() == {bound.web, bound.other}
    bound.confirm()
    assert bound.references() == {bound.web}
    named = Named(Use.CERTIFICATE, bound.web)
    (seen,) = bound.sealed().values()

    def bind(content: bytes, instead: bytes | None) -> None:
        bound.harness.database.transaction(
            lambda each: bindings.put_if_same(each, bound.key, named, content, instead, NOW)
        )

    bind(b"older", None)
    bind(b"older", b"never there")
    assert bound.sealed() == {named: seen}
    bind(b"newer", seen)
    assert bound.sealed() == {named: b"newer"}


def test_only_sealed(bound: Bound) -> None:
    bound.listener(default_tls_container_ref=bound.web)
    (sealed,) = bound.sealed().values()
    secret = WEB.key_pem().splitlines()[1]
    for part in (b"PRIVATE", b"CERTIFICATE", secret, WEB.pem.splitlines()[1]):
        assert part not in sealed
    with bound.harness.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    content = Path(str(bound.harness.database.url.database)).read_bytes()
    assert sealed[:64] in content
    assert secret not in content


def test_a_tree_keeps_all_that_it_names(bound: Bound) -> None:
    listeners = [
        {"protocol": "TERMINATED_HTTPS", "protocol_port": port, "default_tls_container_ref": bound.web}
        for port in (443, 8443)
    ]
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "name": "blue", "tls_container_ref": bound.other}
    body = {"vip_subnet_id": SUBNET, "listeners": listeners, "pools": [pool]}
    answer = bound.harness.client.post("/loadbalancers", {"loadbalancer": body})
    bound.key = bound.harness.accepted(answer)["id"]
    assert bound.pems() == {("certificate", bound.web): WEB_PEM, ("certificate", bound.other): OTHER_PEM}


def test_the_same_reference_again_refreshes(bound: Bound) -> None:
    listener = bound.listener(default_tls_container_ref=bound.web)
    pool = bound.harness.pool(loadbalancer_id=bound.key, tls_enabled=True, tls_container_ref=bound.web)["id"]
    bound.vault.replace(bound.web, Material(content=OTHER.pkcs12()))
    bound.put(f"/listeners/{listener}", name="renamed")
    assert bound.pems() == {("certificate", bound.web): WEB_PEM}
    bound.put(f"/listeners/{listener}", default_tls_container_ref=bound.web)
    assert bound.pems() == {("certificate", bound.web): OTHER_PEM}
    bound.vault.replace(bound.web, Material(content=WEB.pem, private_key=WEB.key_pem()))
    bound.put(f"/pools/{pool}", tls_container_ref=bound.web)
    assert bound.pems() == {("certificate", bound.web): (WEB.pem + WEB.key_pem()).decode()}


def test_what_nobody_names_any_more_goes_with_the_confirmation(bound: Bound) -> None:
    first = bound.listener(default_tls_container_ref=bound.web, sni_container_refs=[bound.other])
    second = bound.listener(
        protocol_port=8443, default_tls_container_ref=bound.other, client_ca_tls_container_ref=bound.ca
    )
    pool = bound.harness.pool(loadbalancer_id=bound.key, ca_tls_container_ref=bound.ca, crl_container_ref=bound.crl)
    bound.confirm()
    assert bound.references() == {bound.web, bound.other, bound.ca, bound.crl}
    bound.put(f"/listeners/{first}", sni_container_refs=[])
    bound.put(f"/pools/{pool['id']}", crl_container_ref=None)
    bound.confirm()
    assert bound.references() == {bound.web, bound.other, bound.ca}
    assert bound.harness.client.delete(f"/listeners/{second}").status == 204
    # The amphorae may be told again until they have confirmed that it is gone.
    assert bound.references() == {bound.web, bound.other, bound.ca}
    bound.confirm()
    assert bound.references() == {bound.web, bound.ca}
    assert bound.harness.client.delete(f"/pools/{pool['id']}").status == 204
    bound.confirm()
    assert bound.references() == {bound.web}
    bound.harness.database.transaction(lambda each: confirmation.remove(each, bound.key, NOW))
    assert bound.references() == set()


def test_refused_and_foreign_writes_keep_nothing(bound: Bound) -> None:
    body = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": bound.web}
    refused = {**body, "loadbalancer_id": bound.key, "sni_container_refs": [bound.ca]}
    bound.harness.refused("POST", "/listeners", {"listener": refused}, 400, "Could not retrieve certificate")
    dry = {"listener": {**body, "loadbalancer_id": bound.key}}
    assert bound.harness.client.request("POST", "/listeners", dry, query="dry_run=true").status == 201
    assert bound.references() == set()
    bound.harness = Harness(
        bound.harness.database,
        secrets=bound.vault,
        limits=NO_LIMITS,
        enabled_provider_drivers={"noop_driver": "Nobody."},
    )
    bound.key = bound.harness.load_balancer(provider="noop_driver")["id"]
    bound.harness.set_status("load_balancer", bound.key, "ACTIVE")
    bound.listener(default_tls_container_ref=bound.web)
    assert bound.references() == set()


def test_another_load_balancers_material_opens_nowhere_else(bound: Bound) -> None:
    bound.listener(default_tls_container_ref=bound.web)
    ((named, sealed),) = bound.sealed().items()
    here, bound.key = bound.key, bound.harness.load_balancer()["id"]
    with bound.harness.database.write() as connection:
        row = connection.execute(select(t.bound_material)).mappings().one()
        connection.execute(insert(t.bound_material).values({**row, "load_balancer_id": bound.key}))
    seal = bound.harness.deps.seal
    assert seal.open(sealed, bindings.place(here, named)).decode() == WEB_PEM
    with pytest.raises(SealBroken):
        seal.open(sealed, bindings.place(bound.key, named))


def test_who_names_a_secret_while_it_is_replaced_gets_the_new_one(anywhere: Harness) -> None:
    bound = Bound(anywhere.database)
    bound.begin()
    old, new = (Material(content=holder.pem, private_key=holder.key_pem()) for holder in (ROOT, OTHER))
    reference = bound.keep(old)
    values = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": reference}
    body = {"listener": {"loadbalancer_id": bound.key, **values}}
    bound.vault.meanwhile = lambda: bound.replace(reference, new)
    refused = bound.harness.client.post("/listeners", body)
    assert (refused.status, bound.pems()) == (409, {})
    bound.harness.accepted(bound.harness.client.post("/listeners", body))
    assert bound.pems() == {("certificate", reference): OTHER_PEM}
