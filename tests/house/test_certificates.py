"""Certificates are renewed and authorities rolled over while agents and controllers go on talking."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace
from sqlalchemy import insert, select

from livia.core.credentials import Credentials, Renewal
from livia.core.drivers import DriverError, Placement, Unreachable
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.house.certificates import Certificates, Pki, Validity
from livia.pki.authority import Authority, AuthorityError, expires, fingerprint
from livia.pki.rollover import Rollover
from livia.store import tables as t
from tests.house.agents import Agent
from tests.house.site import BUFFER, DAY, HOUR, LIFE, Site
from tests.house.turns import done
from tests.keymaterial import write_root


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def own(agent: Agent) -> str:
    return fingerprint(x509.load_pem_x509_certificate(agent.certificate.read_bytes()))


def test_certificates_stay_while_they_last_and_are_renewed_before_they_end(site: Site) -> None:
    with site.database.write() as connection:
        connection.execute(insert(t.amphora).values(id="a-1", status="ALLOCATED", compute_id="host-1"))
        connection.execute(insert(t.amphora).values(id="a-2", status="ALLOCATED", compute_id="elsewhere"))
    before = [own(host) for host in site.hosts], site.controller.read_bytes()
    assert site.work() == "every certificate lasts"
    site.clock.sleep(15 * DAY)
    assert site.work() == "every certificate lasts"
    assert ([own(host) for host in site.hosts], site.controller.read_bytes()) == before
    site.clock.sleep(2 * DAY)
    told = site.work()
    assert "host-1 has new credentials: it ends in 13.0 days." in told
    assert "The controllers' certificate was renewed: it ends in 13.0 days." in told
    ends = (site.clock.now() + LIFE).replace(microsecond=0)
    assert [expires(host.certificate.read_bytes()).replace(tzinfo=None) for host in site.hosts] == [ends] * 2
    assert site.work() == "every certificate lasts"
    with site.database.read() as connection:
        shown = {row.id: row.cert_expiration for row in connection.execute(select(t.amphora))}
    assert shown == {"a-1": ends, "a-2": None}


def test_an_open_connection_outlives_a_renewal(site: Site) -> None:
    kept = Agents(site.tls)
    assert kept.observe(site.hosts[0].placement, "nobody") is None
    pool = kept._pool(site.hosts[0].placement)
    issued = site.agents_ca.open().issue("host-1", life=LIFE).decode()
    promised = site.driver.renew(site.hosts[0].placement, Renewal(certificate=issued))
    assert kept.observe(site.hosts[0].placement, "nobody") is None
    assert pool.num_connections == 1
    assert site.driver.credentials(site.hosts[0].placement) == promised
    assert promised.fingerprint == own(site.hosts[0])


def test_authorities_are_rolled_over_with_both_trusted_in_between(site: Site) -> None:
    first = site.agents_ca.trusted(), site.controllers_ca.trusted()
    assert site.agents_ca.begin()
    assert site.controllers_ca.begin()
    assert not site.agents_ca.begin()
    site.talk()
    told = site.work()
    assert "host-2 has new credentials: other authorities are trusted." in told
    assert "signs from now on" not in told
    site.clock.sleep(HOUR)
    told = site.work()
    assert "The new authority agents signs from now on" in told
    assert "The new authority controllers signs from now on" in told
    told = site.work()
    assert "host-1 has new credentials: it comes from another authority." in told
    assert "The controllers' certificate was renewed: it comes from another authority." in told
    site.clock.sleep(HOUR)
    told = site.work()
    assert "The earlier authority agents is trusted no more" in told
    assert "The earlier authority controllers is trusted no more" in told
    assert "has new credentials: other authorities are trusted." in site.work()
    assert site.work() == "every certificate lasts"
    last = site.agents_ca.trusted(), site.controllers_ca.trusted()
    assert [len(each) for each in last] == [1, 1]
    assert not set(first[0]) & set(last[0])
    assert not set(first[1]) & set(last[1])
    # Who still has the earlier ones gets in nowhere.
    for host in site.hosts:
        assert set(host.credentials.now().trusted) == set(last[1])


def test_an_authority_makes_room_for_another_before_it_ends(site: Site) -> None:
    assert "The authority" not in site.work(authority_buffer=3640)
    site.clock.sleep(11 * DAY)
    assert "The authority agents ends in 3639 days: a new one is trusted from now on." in site.work(
        authority_buffer=3640
    )
    assert "The authority" not in site.work(authority_buffer=3640)


def test_nobody_is_left_behind_by_a_roll_over(site: Site) -> None:
    site.hosts[1].close()
    silent, site.hosts = site.hosts[1], site.hosts[:1]
    site.agents_ca.begin()
    site.controllers_ca.begin()
    site.clock.sleep(HOUR)
    told = site.work()
    assert "The certificate of host-2 was not renewed: The agent at" in told
    assert "The new authority controllers does not sign yet: host-2 may not trust it." in told
    assert "The new authority agents signs from now on" in told
    site.clock.sleep(2 * HOUR)
    assert "The earlier authority agents is still trusted: host-2 may use it." in site.work()
    # It comes back with what it had.
    back = Agent(
        silent.certificate.parent.with_name("back"),
        "host-2",
        silent.certificate.read_bytes(),
        silent.client_ca.read_bytes(),
    )
    back.register(site.database)
    site.hosts.append(back)
    told = site.work()
    assert "host-2 has new credentials: it comes from another authority." in told
    for _turn in range(4):
        site.clock.sleep(HOUR)
        told = site.work()
    assert told == "every certificate lasts"
    assert [len(site.agents_ca.trusted()), len(site.controllers_ca.trusted())] == [1, 1]


class Lying(Agents):
    """It says that it took a certificate, and serves another."""

    def renew(self, placement: Placement, renewal: Renewal) -> Credentials:
        before = self.credentials(placement)
        assert before is not None
        return replace(before, fingerprint="0" * 64)


@pytest.mark.parametrize(
    "certificate, reason",
    [
        ("of another name", "The certificate is for CN=host-9, and this agent is CN=host-1."),
        ("without its key", "The certificate cannot be used with its key."),
        ("ended", "The certificate ended at"),
        ("nonsense", "It is no PEM certificate."),
    ],
)
def test_an_agent_refuses_what_it_could_not_serve_with(site: Site, certificate: str, reason: str) -> None:
    authority = site.agents_ca.open()
    good = authority.issue("host-1")
    made = {
        "of another name": authority.issue("host-9"),
        "without its key": good[: good.index(b"-----BEGIN PRIVATE")] + site.controller.read_bytes(),
        "ended": authority.issue("host-1", life=timedelta(days=1)),
        "nonsense": b"\xff-----BEGIN",
    }[certificate]
    before = own(site.hosts[0])
    with pytest.raises(DriverError, match=reason.replace("(", "\\(")) as error:
        site.driver.renew(site.hosts[0].placement, Renewal(certificate=made.decode("latin-1")))
    assert "PRIVATE" not in error.value.message
    assert own(site.hosts[0]) == before
    site.talk()


def test_an_agent_never_locks_every_controller_out(site: Site, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "strangers", "strangers")
    with pytest.raises(DriverError, match="nobody could get in any more"):
        site.driver.renew(site.hosts[0].placement, Renewal(client_ca=stranger.certificate_path.read_text()))
    site.talk()


def test_files_that_cannot_be_used_change_nothing(site: Site) -> None:
    whole = site.controller.read_bytes()
    Path(f"{site.controller}.new").write_bytes(whole[:300])
    Path(f"{site.controller}.new").replace(site.controller)
    assert site.driver.observe(site.hosts[0].placement, "nobody") is None
    site.controller.write_bytes(whole)
    site.talk()


def test_a_stranger_never_gets_in_while_authorities_change(site: Site, tmp_path: Path) -> None:
    own_ca = Rollover(tmp_path / "strange", "controllers")
    certificate = tmp_path / "strange.pem"
    certificate.write_bytes(own_ca.open().issue("controller"))
    site.controllers_ca.begin()
    site.work()
    strange = Agents(AgentTls(certificate=certificate, server_ca=site.agents_ca.trust_path))
    with pytest.raises(Unreachable):
        strange.observe(site.hosts[0].placement, "nobody")


@pytest.mark.parametrize("reached", range(6))
def test_a_roll_over_that_broke_off_is_finished_by_the_next_look(tmp_path: Path, reached: int) -> None:
    """Killed after each file that `begin` and `promote` write."""
    directory = tmp_path / "agents"
    rollover = Rollover(directory, "agents")
    rollover.open()
    first = rollover.trusted()
    begun = tmp_path / "begun"
    shutil.copytree(directory, begun)
    Rollover(begun, "agents").begin()
    steps = [
        (begun / "next.key", "next.key"),
        (begun / "next.pem", "next.pem"),
        (begun / "trusted.pem", "trusted.pem"),
        (begun / "ca.pem", "old.pem"),
        (begun / "next.pem", "ca.pem"),
        (begun / "next.key", "ca.key"),
    ]
    for source, name in steps[: reached + 1]:
        shutil.copy(source, directory / name)
    authority = rollover.open()
    assert set(first) <= set(rollover.trusted())
    signing = x509.load_pem_x509_certificate(authority.certificate_path.read_bytes())
    leaf = x509.load_pem_x509_certificate(authority.issue("host-1"))
    leaf.verify_directly_issued_by(signing)
    assert fingerprint(signing) in rollover.trusted()
    # And it goes on to its end.
    rollover.begin()
    rollover.promote()
    rollover.drop()
    assert len(rollover.trusted()) == 1
    assert rollover.trusted() != first
    assert rollover.coming() is None


def test_a_key_that_is_not_the_authoritys_is_named(tmp_path: Path) -> None:
    rollover = Rollover(tmp_path / "one", "one")
    rollover.open()
    other = Rollover(tmp_path / "other", "other")
    other.open()
    shutil.copy(tmp_path / "other" / "ca.key", tmp_path / "one" / "ca.key")
    with pytest.raises(AuthorityError, match=r"ca.key is not the key of .*ca.pem: restore the one that is."):
        rollover.open()


def test_a_renewal_that_is_not_served_is_told(site: Site) -> None:
    site.clock.sleep(17 * DAY)
    pki = Pki(
        agents=site.agents_ca, controllers=site.controllers_ca, controller=site.controller, controller_name="controller"
    )
    validity = Validity(life=LIFE, buffer=BUFFER, authority_buffer=timedelta(days=1), overlap=timedelta(hours=1))
    job = Certificates(site.database, site.clock, Lying(site.tls), pki, validity, site.registry, interval=0.0)
    told = done(site.database, job).reason
    assert "The certificate of host-1 was not renewed: A new connection is not served with what the agent took." in told
    left = site.registry.get_sample_value("livia_certificate_days_left", {"subject": "controller"})
    assert left == pytest.approx(30, abs=0.1)


def test_an_authority_of_the_operators_takes_the_place_of_the_built_in_one_and_of_its_own(
    site: Site, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        site.agents_ca.supplied = write_root(tmp_path / "supplied", name, passphrase=name.encode())
        supplied = fingerprint(x509.load_pem_x509_certificate((tmp_path / "supplied" / "ca.pem").read_bytes()))
        before = site.agents_ca.trusted()
        assert site.work() == "The authority of ca_certificate is trusted as agents from now on."
        assert set(site.agents_ca.trusted()) == {*before, supplied}
        assert site.work() == "every certificate lasts", "it signs when it was trusted for a while, however old it is"
        site.clock.sleep(HOUR)
        assert "signs from now on" in site.work()
        assert "host-1 has new credentials: it comes from another authority." in site.work()
        site.clock.sleep(HOUR)
        assert "is trusted no more: nobody uses it." in site.work()
        assert site.agents_ca.trusted() == (supplied,)
        leaf = x509.load_pem_x509_certificate(site.hosts[0].certificate.read_bytes())
        assert leaf.issuer.rfc4514_string() == f"CN={name}"
    assert not site.agents_ca.begin()
    assert site.work() == "every certificate lasts"


def test_an_authority_of_the_operators_is_not_replaced_by_another(site: Site, tmp_path: Path) -> None:
    site.agents_ca.supplied = write_root(tmp_path / "supplied", "first", life=timedelta(days=90))
    site.work()
    site.clock.sleep(HOUR)
    site.work()
    site.work()
    site.clock.sleep(HOUR)
    site.work()
    (signing,) = site.agents_ca.trusted()
    assert "days: replace [certificates] ca_certificate and ca_private_key." in site.work()
    assert site.agents_ca.trusted() == (signing,)


@pytest.mark.parametrize("damage", ["gone", "renamed"])
def test_the_present_authority_goes_on_while_the_operators_cannot_be_used(
    site: Site, tmp_path: Path, damage: str
) -> None:
    site.agents_ca.supplied = write_root(tmp_path / "supplied", "first")
    if damage == "gone":
        (tmp_path / "supplied" / "ca.key").unlink()
        why = "ca.key cannot be read (No such file or directory)."
    else:
        key = load_pem_private_key((tmp_path / "pki" / "agents" / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        write_root(tmp_path / "supplied", "first", key=key)
        why = "has the key of the authority that signs now, and another name"
    before = site.agents_ca.trusted()
    assert why in site.work()
    assert site.agents_ca.trusted() == before
    site.clock.sleep(17 * DAY)
    assert "host-1 has new credentials" in site.work()
