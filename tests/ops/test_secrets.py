"""`livia secret`: what an operator gives, sees and is told."""

from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from livia.core.rules.capabilities import NO_LIMITS
from livia.core.wake import NoWake
from livia.ops import cli, drivers, secrets
from livia.ops.processes import Processes
from livia.ops.services import Installation
from livia.ops.settings import EMBEDDED
from livia.ops.state import State
from livia.store import bindings, schema
from tests.api.harness import Harness
from tests.keymaterial import INTERMEDIATE, NAMELESS, OTHER, ROOT, WEB, Holder

FILES = {
    "web.pem": WEB.pem,
    "web.key": WEB.key_pem(),
    "locked.key": WEB.key_pem(b"s3cret"),
    "chain.pem": INTERMEDIATE.pem,
    "wrong-chain.pem": ROOT.pem,
    "all.pem": WEB.pem + WEB.key_pem() + INTERMEDIATE.pem,
    "other.pem": OTHER.pem + OTHER.key_pem(),
    "old.pem": (old := Holder("old", expired=True)).pem + old.key_pem(),
    "nameless.pem": NAMELESS.pem + NAMELESS.key_pem(),
    "web.p12": WEB.pkcs12(b"s3cret", [INTERMEDIATE]),
    "ca.pem": b"# two of them\n" + ROOT.pem + OTHER.pem,
    "crl.pem": ROOT.revocation_list(),
    "foreign.pem": INTERMEDIATE.revocation_list(),
    "phrase": b"s3cret",
    "phrase-line": b"s3cret\r\n",
    "wrong": b"x\n",
    "empty": b"",
    "escape.pem": (escape := Holder("\x1b[2Jx")).pem + escape.key_pem(),
}


class Place:
    """A state directory that `livia up` has made once, files to give, and the command."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        for name, content in FILES.items():
            (directory / name).write_bytes(content)
        self.installation = Installation(State(directory / "state"), EMBEDDED)

    def prepare(self) -> None:
        self.installation.state.prepare()
        schema.upgrade(self.installation.database())

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run `livia secret`: exit status, output, errors. Names of files are those in the directory."""
        known = [str(self.directory / each) if each in FILES or each == "missing" else each for each in arguments]
        where = ["--state-directory", str(self.installation.state.directory)]
        # What others said before, e.g. the log of an API in this process.
        self._capsys.readouterr()
        status = cli.main([*where, "secret", *known])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def create(self, *arguments: str) -> str:
        """A secret that must be taken without a word. Its reference."""
        status, out, err = self("create", *arguments)
        assert (status, err) == (0, ""), err
        return out.strip()


@pytest.fixture
def livia(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    place = Place(tmp_path, capsys)
    place.prepare()
    return place


def test_what_is_taken(livia: Place) -> None:
    ways = (
        ("--certificate", "web.pem", "--private-key", "web.key", "--intermediates", "chain.pem"),
        (
            "--certificate",
            "web.pem",
            "--private-key",
            "locked.key",
            "--intermediates",
            "chain.pem",
            "--passphrase-file",
            "phrase",
        ),
        ("--certificate", "all.pem"),
        ("--pkcs12", "web.p12", "--passphrase-file", "phrase-line"),
    )
    references = [livia.create(*way) for way in ways]
    assert len(set(references)) == len(ways)
    for reference in references:
        status, out, _err = livia("show", reference)
        assert status == 0
        lines = [line.strip() for line in out.splitlines()]
        assert lines[0] == reference
        assert lines[1:4] == [
            "certificate     CN=www.example.net",
            "names           www.example.net, example.net",
            "issuer          CN=intermediate",
        ]
        assert any(line.startswith("expires") and "(in 29 days)" in line for line in lines)
        assert "intermediate    CN=intermediate" in lines
        assert "PRIVATE" not in out


#: arguments of create, what is said
REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("--certificate", "web.pem"), "web.pem cannot be used: it has no private key in PEM form."),
    (("--certificate", "missing"), "missing cannot be read: No such file or directory."),
    (("--certificate", "empty", "--private-key", "web.key"), "holds no certificate in PEM form"),
    (("--certificate", "other.pem", "--private-key", "web.key"), "does not belong to its certificate"),
    (("--certificate", "web.pem", "--private-key", "locked.key"), "has an encrypted private key and no passphrase"),
    (
        ("--certificate", "web.pem", "--private-key", "locked.key", "--passphrase-file", "wrong"),
        "its passphrase is another",
    ),
    (
        ("--certificate", "web.pem", "--private-key", "web.key", "--intermediates", "wrong-chain.pem"),
        "web.pem cannot be used: intermediate 1 (CN=root) did not issue the certificate.",
    ),
    (("--certificate", "nameless.pem"), "nameless.pem cannot be used: it has neither a common name nor a DNS name."),
    (("--pkcs12", "web.p12"), "is no PKCS12 bundle, or its passphrase is another"),
    (("--pkcs12", "web.p12", "--private-key", "web.key"), "has its key and intermediates in it"),
    (("--file", "web.key"), "web.key holds a private key: give a certificate with its key as --certificate."),
    (("--file", "empty"), "it holds no certificate in PEM form, and it holds no certificate revocation list"),
    (("--pkcs12", "web.p12", "--passphrase-file", "missing"), "missing cannot be read: No such file or directory."),
    (("--pkcs12", "web.p12", "--passphrase-file", "empty"), "empty is to hold one line, the passphrase."),
    (("--pkcs12", "web.p12", "--passphrase-file", "web.key"), "web.key is to hold one line, the passphrase."),
    (("--file", "ca.pem", "--passphrase-file", "wrong"), "has no key, intermediates or passphrase"),
    (("--file", "ca.pem", "--name", "x" * 256), "A name has at most 255 characters"),
]


def test_what_is_refused(livia: Place) -> None:
    for arguments, sentence in REFUSED:
        status, out, err = livia("create", *arguments)
        assert (status, out) == (1, ""), arguments
        assert sentence in err, (arguments, err)
        assert len(err.splitlines()) == 1
    assert livia("list") == (0, "", "")


def test_what_is_noted(livia: Place) -> None:
    status, out, err = livia("create", "--certificate", "old.pem", "--name", "old")
    assert (status, out.startswith("livia://secrets/")) == (0, True)
    assert err.startswith("warning: The certificate expired on ")
    status, _out, err = livia("create", "--certificate", "web.pem", "--private-key", "web.key")
    assert (status, err) == (
        0,
        "warning: There are no intermediates: clients that do not know CN=intermediate will refuse the certificate.\n",
    )
    livia.create("--certificate", "escape.pem")
    _status, out, _err = livia("list")
    assert "(it has expired)" in out
    assert "\x1b" not in out


def test_bundles(livia: Place) -> None:
    livia.create("--file", "ca.pem", "--name", "ours")
    livia.create("--file", "crl.pem")
    _status, out, _err = livia("list")
    for expected in (
        "CA certificate  CN=root",
        "CA certificate  CN=other.example.net",
        "of CN=root, 0 revoked",
        "ours",
    ):
        assert expected in out


def test_asking_for_a_passphrase(livia: Place) -> None:
    asked = []

    def ask(answer: str) -> Callable[[], str]:
        def told() -> str:
            asked.append(answer)
            return answer

        return told

    def create(answer: str, **files: str) -> secrets.Created:
        paths = {name: livia.directory / file for name, file in files.items()}
        return secrets.create(livia.installation, secrets.Files(**paths), ask=ask(answer))

    create("s3cret", certificate="web.pem", private_key="locked.key")
    create("s3cret", pkcs12="web.p12")
    create("x", certificate="all.pem")
    assert asked == ["s3cret", "s3cret"]
    with pytest.raises(secrets.SecretError, match="passphrase is another"):
        create("x", pkcs12="web.p12")


def test_a_passphrase_on_standard_input(livia: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"s3cret\n")))
    reference = livia.create("--pkcs12", "web.p12", "--passphrase-file", "-")
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"s3cret")))
    status, out, err = livia("replace", reference, "--pkcs12", "web.p12", "--passphrase-file", "-")
    assert (status, err) == (0, "")
    assert out.startswith(reference)


@pytest.mark.parametrize("action", [("create",), ("replace", "web")])
def test_a_passphrase_is_no_argument(livia: Place, action: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        livia(*action, "--pkcs12", "web.p12", "--passphrase", "phrase")


def test_a_secret_in_use(livia: Place) -> None:
    reference = livia.create("--certificate", "all.pem", "--name", "web")
    livia.create("--certificate", "all.pem", "--name", "twin")
    foreign = livia.create("--certificate", "all.pem", "--name", "twin", "--project", "another")
    settings = livia.installation.complete_settings
    database = livia.installation.database()
    store = drivers.secrets(settings, database, livia.installation.clock)
    harness = Harness(database, secrets=store, limits=NO_LIMITS)
    client, load_balancer = harness.client, harness.load_balancer()
    body: dict[str, Any] = {
        "name": "shop",
        "loadbalancer_id": load_balancer["id"],
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": 443,
    }
    refused = client.post("/listeners", {"listener": {**body, "default_tls_container_ref": foreign}})
    assert (refused.status, refused.fault.startswith(f"Could not retrieve certificate: ['{foreign}']")) == (400, True)
    created = client.post("/listeners", {"listener": {**body, "default_tls_container_ref": reference}})
    assert created.status == 201, created.body
    _status, out, _err = livia("show", "web")
    assert f"used by         listener shop ({created.json['listener']['id']})" in out
    sentence = f"{reference} is used by listener shop: give them another one first, or delete it with --force.\n"
    assert livia("delete", "web") == (1, "", sentence)
    assert livia("delete", "--force", "web") == (0, "", "")
    status, _out, err = livia("delete", "twin")
    assert (status, err.startswith("2 secrets are named twin: ")) == (1, True)
    assert livia("delete", foreign.rpartition("/")[2]) == (0, "", "")
    assert livia("delete", "web") == (1, "", "There is no secret web.\n")


class Users:
    """Load balancers that use what is in the vault."""

    def __init__(self, livia: Place) -> None:
        self._livia = livia
        self._deps = Processes(livia.installation.complete_settings, "test").dependencies(NoWake())
        deps = self._deps
        self.harness = Harness(deps.database, secrets=deps.secrets, seal=deps.seal, limits=NO_LIMITS)

    def listener(self, **values: Any) -> tuple[str, str]:
        """The ids of a load balancer and its listener."""
        key = self.harness.load_balancer()["id"]
        made = self.harness.listener(key, protocol="TERMINATED_HTTPS", protocol_port=443, **values)
        self.harness.pool(loadbalancer_id=key)
        self.harness.confirm(key)
        return key, made["id"]

    def pems(self, key: str) -> dict[str, str]:
        """What is bound to a load balancer, by reference."""
        seal = self._deps.seal
        with self._deps.database.read() as connection:
            kept = bindings.every(connection, key).items()
        return {named.reference: seal.open(sealed, bindings.place(key, named)).decode() for named, sealed in kept}

    def generation(self, key: str) -> int:
        return self.harness.generation("load_balancer", key)

    def refused(self, *ways: tuple[tuple[str, ...], str]) -> None:
        """Ways to replace something are refused with these words, and change nothing."""
        before = self.harness.rows()
        for way, why in ways:
            status, _out, err = self._livia("replace", *way)
            assert (status, why in err) == (1, True), err
            assert self.harness.rows() == before


def test_renewal(livia: Place) -> None:
    reference = livia.create("--certificate", "all.pem", "--name", "web")
    users = Users(livia)
    assert livia("replace", "web", "--certificate", "other.pem")[1] == (
        f"{reference}: replaced; no load balancer uses it.\n"
    )
    unrelated, _ = users.listener(default_tls_container_ref=livia.create("--certificate", "all.pem"))
    by_name, _ = users.listener(
        default_tls_container_ref=livia.create("--certificate", "all.pem"), sni_container_refs=[reference]
    )
    by_default, own = users.listener(default_tls_container_ref=reference)
    leaving, _ = users.listener(default_tls_container_ref=reference)
    assert users.harness.client.delete(f"/loadbalancers/{leaving}", cascade="true").status == 204
    bound = {key: users.pems(key) for key in (unrelated, by_name, by_default)}
    generations = {key: users.generation(key) for key in bound}
    users.refused(
        (("web", "--file", "ca.pem"), f"Could not retrieve certificate: ['{reference}']"),
        (("web", "--certificate", "nameless.pem"), "neither a common name nor a DNS name"),
        (("nobody", "--file", "ca.pem"), "There is no secret nobody."),
    )

    status, out, err = livia("replace", "web", "--certificate", "old.pem")
    assert (status, out) == (0, f"{reference}: replaced; 2 load balancers will use it from now on.\n")
    assert "warning: The certificate expired on" in err
    assert users.pems(unrelated) == bound[unrelated]
    for key in (by_name, by_default):
        assert users.pems(key) == {**bound[key], reference: (old.pem + old.key_pem()).decode()}
        assert users.generation(key) == generations[key] + 1
    assert users.generation(unrelated) == generations[unrelated]
    assert users.harness.statuses(by_default)["listener"] == "PENDING_UPDATE"
    told = users.harness.client.get(f"/loadbalancers/{by_default}/events").json["events"]
    (sentence,) = [each["message"] for each in told if each["code"] == "listener.renew"]
    assert sentence == f"What {reference} stands for was replaced."
    assert own in str(told)


def test_renewal_of_authorities_and_revocation_lists(livia: Place) -> None:
    users = Users(livia)
    key, _ = users.listener(
        default_tls_container_ref=livia.create("--certificate", "all.pem"),
        client_ca_tls_container_ref=livia.create("--file", "ca.pem", "--name", "ours"),
        client_crl_container_ref=livia.create("--file", "crl.pem", "--name", "revoked"),
        client_authentication="MANDATORY",
    )
    generation = users.generation(key)
    users.refused(
        (("revoked", "--file", "foreign.pem"), "The CRL specified is not valid for client certificate authority")
    )
    status, out, _err = livia("replace", "revoked", "--file", "crl.pem")
    assert (status, "1 load balancer will use it" in out) == (0, True)
    assert users.generation(key) == generation + 1


def test_another_key_is_told(livia: Place) -> None:
    livia.create("--file", "ca.pem", "--name", "ours")
    livia.installation.state.vault_key.write_text("00" * 32)
    status, out, _err = livia("list")
    assert status == 0
    assert "problem         it was sealed with another key than this service's, or is damaged" in out
    livia.installation.state.vault_key.unlink()
    status, _out, err = livia("list")
    assert (status, "vault.key cannot be read" in err) == (1, True)


def test_where_there_is_no_vault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, capsys)
    status, _out, err = place("list")
    assert (status, err) == (1, f"There is no Livia in {tmp_path / 'state'}: 'livia up' makes one.\n")
    place.installation.state.prepare()
    status, _out, err = place("list")
    assert (status, "does not exist" in err) == (1, True)
    place.prepare()
    conf = tmp_path / "octavia.conf"
    conf.write_text("[certificates]\ncert_manager = local_cert_manager\n")
    status = cli.main(["--state-directory", str(tmp_path / "state"), "--config-file", str(conf), "secret", "list"])
    sentence = "The API does not read the vault: [certificates] cert_manager is local_cert_manager.\n"
    assert (status, capsys.readouterr().err) == (1, sentence)
