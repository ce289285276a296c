"""Key material on its way to amphorae: bound before, or read then; and what is said where it cannot be had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from livia.core.drivers import SecretNotFound, SecretStore, Unreachable
from livia.core.model.listener import ClientAuthentication
from livia.core.model.secret import Material, Named, Use
from livia.core.report import Applied
from livia.core.spec import Assignment, HstsSpec, MemberTlsSpec, Offer, TerminationSpec, TlsDefaults, name_of
from livia.core.spec.material import CONTRACT_TLS
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.secrets.seal import KeySeal
from livia.store import bindings, events
from livia.store import tables as t
from livia.worker.outcome import Again, Done, Failed
from tests.keymaterial import INTERMEDIATE, OTHER, ROOT, WEB
from tests.worker.world import World

WEB_PEM = (WEB.pem + INTERMEDIATE.pem + WEB.key_pem()).decode()
OTHER_PEM = (OTHER.pem + OTHER.key_pem()).decode()
CA_PEM = ROOT.pem.decode()
REVOKED = ROOT.revocation_list()


class Store:
    """A SecretStore with a few secrets, that counts what it is asked and can be out of reach."""

    def __init__(self) -> None:
        self.secrets = {
            "web": Material(content=WEB.pem, private_key=WEB.key_pem(), intermediates=INTERMEDIATE.pem),
            "other": Material(content=OTHER.pkcs12()),
            "ca": Material(content=ROOT.pem),
            "crl": Material(content=REVOKED),
        }
        self.asked: list[tuple[str, str | None]] = []
        self.out_of_reach = False

    def read(self, reference: str, project_id: str | None) -> Material:
        self.asked.append((reference, project_id))
        if self.out_of_reach:
            raise Unreachable("connection refused")
        if reference not in self.secrets:
            raise SecretNotFound
        return self.secrets[reference]


class Listening(NoopAmphorae):
    """No-op agents that remember what they were told last."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Assignment] = []

    def apply(self, placement: Any, assignment: Assignment) -> Applied:
        self.told.append(assignment)
        return super().apply(placement, assignment)


class Place:
    """A load balancer with a listener and a pool whose rows are written without the API: nothing is bound."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory)
        self.store = Store()
        self.agents = Listening()
        self.use(self.store)
        self.key = self.world.load_balancer("SINGLE")

    def use(self, store: SecretStore) -> None:
        self.world.drivers = replace(self.world.drivers, secrets=store, amphorae=self.agents)

    def write(self, listener: dict[str, Any], pool: dict[str, Any], *sni: str) -> None:
        """Change the rows, as another installation's program might have left them."""
        with self.world.database.write() as connection:
            connection.execute(update(t.listener).values(**listener))
            if pool:
                connection.execute(update(t.pool).values(**pool))
            listener_id = connection.execute(select(t.listener.c.id)).scalar_one()
            for position, reference in enumerate(sni):
                row = {"listener_id": listener_id, "tls_container_id": reference, "position": position}
                connection.execute(insert(t.sni).values(row))

    def change(self) -> None:
        """Ask for another generation."""
        with self.world.database.write() as connection:
            connection.execute(update(t.load_balancer).values(generation=t.load_balancer.c.generation + 1))

    def told(self) -> Assignment:
        """What the amphora is told next."""
        self.change()
        self.world.reconcile(self.key)
        return self.agents.told[-1]

    def bound(self) -> set[Named]:
        with self.world.database.read() as connection:
            return set(bindings.every(connection, self.key))

    def status(self) -> str:
        with self.world.database.read() as connection:
            found: str = connection.execute(select(t.load_balancer.c.provisioning_status)).scalar_one()
        return found

    def sentences(self) -> list[str]:
        with self.world.database.read() as connection:
            return [event.message for event, _ in events.of_load_balancer(connection, self.key, limit=100)]


TERMINATED = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "name": "front", "tls_certificate_id": "web"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


#: every attribute of TLS
LISTENER = {
    **TERMINATED,
    "client_authentication": "OPTIONAL",
    "client_ca_tls_certificate_id": "ca",
    "client_crl_container_id": "crl",
    "tls_ciphers": "A:B",
    "tls_versions": "TLSv1.3",
    "alpn_protocols": "http/1.1",
    "hsts_max_age": 0,
    "hsts_preload": True,
}
POOL = {
    "tls_enabled": True,
    "tls_certificate_id": "other",
    "ca_tls_certificate_id": "ca",
    "crl_container_id": "crl",
    "tls_ciphers": "C",
    "tls_versions": "TLSv1.2",
    "alpn_protocols": "h2",
}


def test_all_attributes_arrive(place: Place) -> None:
    place.write(LISTENER, POOL, "other", "web")
    told = place.told()
    revoked = name_of(REVOKED.decode())
    assert told.spec.listeners[0].tls == TerminationSpec(
        certificates=(name_of(WEB_PEM), name_of(OTHER_PEM)),
        client_authentication=ClientAuthentication.OPTIONAL,
        client_ca=name_of(CA_PEM),
        client_crl=revoked,
        ciphers="A:B",
        versions=("TLSv1.3",),
        alpn=("http/1.1",),
        hsts=HstsSpec(max_age=0, preload=True),
    )
    assert told.spec.pools[0].tls == MemberTlsSpec(
        certificate=name_of(OTHER_PEM),
        ca=name_of(CA_PEM),
        crl=revoked,
        ciphers="C",
        versions=("TLSv1.2",),
        alpn=("h2",),
    )
    assert told.material == {name_of(pem): pem for pem in (WEB_PEM, OTHER_PEM, CA_PEM, REVOKED.decode())}
    assert "PRIVATE" not in repr(told)
    assert name_of(WEB_PEM) in repr(told)
    assert sorted(place.store.asked) == [(name, "project") for name in ("ca", "crl", "other", "web")]


def test_where_nothing_is_said_the_defaults_are_offered(place: Place) -> None:
    place.write(TERMINATED, {"tls_enabled": True})
    told = place.told()
    offer = CONTRACT_TLS.listener
    assert told.spec.listeners[0].tls == TerminationSpec(
        certificates=(name_of(WEB_PEM),), ciphers=offer.ciphers, versions=offer.versions, alpn=offer.alpn
    )
    assert told.spec.pools[0].tls == MemberTlsSpec(ciphers=offer.ciphers, versions=offer.versions, alpn=offer.alpn)
    place.world.tls = TlsDefaults(
        listener=Offer(ciphers="X", versions=("TLSv1.1",), alpn=("h2",)), pool=Offer(ciphers="Y")
    )
    told = place.told()
    assert told.spec.listeners[0].tls == TerminationSpec(
        certificates=(name_of(WEB_PEM),), ciphers="X", versions=("TLSv1.1",), alpn=("h2",)
    )
    pool_tls = told.spec.pools[0].tls
    assert pool_tls is not None
    assert pool_tls.ciphers == "Y"


def test_only_what_the_spec_has_is_asked_for_and_sent(place: Place) -> None:
    place.write({**TERMINATED, "protocol": "HTTP"}, {"tls_certificate_id": "missing"})
    assert place.told().material == {}
    place.write({**TERMINATED, "enabled": False}, {"tls_enabled": True})
    assert place.told().material == {}
    assert place.store.asked == []
    place.write({"protocol": "PROMETHEUS", "enabled": True, "default_pool_id": None}, {})
    told = place.told()
    assert told.material == {name_of(WEB_PEM): WEB_PEM}
    assert told.spec.listeners[0].tls is not None
    # The pool, which has a reference to nothing, is nobody's.
    assert place.store.asked == [("web", "project")]


def test_an_outage_of_the_store_after_binding_goes_unnoticed(place: Place) -> None:
    place.write(TERMINATED, {}, "other")
    before = place.told()
    assert place.bound() == {Named(Use.CERTIFICATE, "web"), Named(Use.CERTIFICATE, "other")}
    place.store.out_of_reach = True
    place.store.asked.clear()
    after = place.told()
    assert (after.spec, after.material) == (before.spec, before.material)
    assert place.store.asked == []


def test_an_outage_before_is_waited_for(place: Place) -> None:
    place.write(TERMINATED, {})
    place.store.out_of_reach = True
    outcome = place.world.attempt(place.key)
    sentence = "names web as its certificate, and the secret store does not answer: connection refused"
    assert isinstance(outcome, Again)
    assert "Listener front (" in outcome.reason
    assert sentence in outcome.reason
    late = place.world.attempt(place.key, spent=301.0)
    assert isinstance(late, Failed)
    assert place.status() == "ERROR"
    assert sentence in place.sentences()[-1]
    place.store.out_of_reach = False
    assert isinstance(place.world.attempt(place.key), Done)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda store: store.secrets.pop("web"), "is not known to the secret store."),
        (
            lambda store: store.secrets.update(web=Material(content=WEB.pem, private_key=OTHER.key_pem())),
            "has a private key that does not belong to its certificate.",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_it(
    place: Place, spoil: Callable[[Store], object], why: str
) -> None:
    place.write(TERMINATED, {})
    spoil(place.store)
    outcome = place.world.attempt(place.key)
    assert isinstance(outcome, Failed)
    assert place.status() == "ERROR"
    (sentence,) = [each for each in place.sentences() if "front" in each]
    assert sentence == outcome.reason
    assert f"names web as its certificate, which {why}" in sentence
    assert "PRIVATE" not in sentence
    assert place.agents.told == []
    place.store.secrets["web"] = Store().secrets["web"]
    place.world.reconcile(place.key)
    assert place.status() == "ACTIVE"


def test_what_was_sealed_with_a_lost_key_is_read_again(place: Place) -> None:
    place.write(TERMINATED, {})
    before = place.told()
    place.world.drivers = replace(place.world.drivers, seal=KeySeal(b"n" * 32))
    place.store.asked.clear()
    assert place.told().material == before.material
    assert place.store.asked == [("web", "project")]
    place.world.drivers = replace(place.world.drivers, seal=KeySeal(b"2" * 32, b"n" * 32))
    assert place.told().material == before.material
    assert place.store.asked == [("web", "project")]
