"""Which secret store octavia.conf names."""

from pathlib import Path

import pytest

from livia.core.clock import SystemClock
from livia.core.drivers import Seal, SealBroken, SecretUnreadable
from livia.drivers.secrets.files import FileSecrets
from livia.drivers.secrets.local import LocalVault
from livia.drivers.secrets.noop import NoopSecrets
from livia.ops import drivers
from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.settings import (
    CONTRACT,
    EMBEDDED,
    SAMPLE_PASSPHRASE,
    CertificateSettings,
    Settings,
    SettingsError,
)
from livia.ops.state import State
from livia.store.engine import Database
from tests.keymaterial import WEB


def settings(directory: Path, text: str) -> Settings:
    """What a program makes of an octavia.conf with this [certificates] section."""
    path = directory / "octavia.conf"
    path.write_text(f"[certificates]\n{text}\n")
    found, warnings = load([path], CONTRACT)
    assert warnings == []
    return found


def test_key_managers_of_a_cloud_read_nothing_and_say_so(tmp_path: Path) -> None:
    for name in ("barbican_cert_manager", "castellan_cert_manager"):
        chosen = settings(tmp_path, f"cert_manager = {name}")
        assert drivers.problems(chosen, ["cert_manager"]) == []
        (warning,) = drivers.about_secrets(chosen)
        assert warning.startswith(f"[certificates] cert_manager = {name} is not available yet")
        with pytest.raises(SecretUnreadable, match=name):
            drivers.secrets(chosen, Database("sqlite://"), SystemClock()).read("https://keys/v1/secrets/1", None)
    assert CONTRACT.certificates.cert_manager == "barbican_cert_manager"
    assert drivers.about_secrets(settings(tmp_path, "cert_manager = noop_cert_manager")) == []


def test_an_unknown_store_is_refused_in_a_sentence(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "cert_manager = safe")
    expected = (
        "[certificates] cert_manager = safe is not available yet: "
        "use local_cert_manager or local_vault or noop_cert_manager."
    )
    assert drivers.problems(chosen, ["cert_manager"]) == [expected]
    with pytest.raises(SettingsError, match="cert_manager = safe"):
        drivers.secrets(chosen, Database("sqlite://"), SystemClock())


def test_stores_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, clock = Database("sqlite://"), SystemClock()
    noop = settings(tmp_path, "cert_manager = noop_cert_manager")
    assert isinstance(drivers.secrets(noop, database, clock), NoopSecrets)
    for name, content in {"crt": WEB.pem, "key": WEB.key_pem()}.items():
        (tmp_path / f"web.{name}").write_bytes(content)
    files = settings(tmp_path, f"cert_manager = local_cert_manager\nstorage_path = {tmp_path}")
    found = drivers.secrets(files, database, clock)
    assert isinstance(found, FileSecrets)
    assert found.read("web", None).private_key == WEB.key_pem()
    monkeypatch.setenv("OS_OCTAVIA_TLS_STORAGE", str(tmp_path))
    assert CertificateSettings().storage_path == tmp_path


def test_the_vault_is_what_livia_up_has(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.prepare()
    assert state.vault_key.stat().st_mode & 0o777 == 0o600
    key = state.vault_key.read_text()
    state.prepare()
    assert state.vault_key.read_text() == key
    complete = Installation(state, EMBEDDED).complete_settings
    assert drivers.problems(complete) == []
    assert isinstance(drivers.secrets(complete, Database("sqlite://"), SystemClock()), LocalVault)
    for damaged, why in (("zz", "cannot be read"), (key[2:], "has 31 bytes instead of 32")):
        state.vault_key.write_text(damaged)
        (problem,) = drivers.problems(complete)
        assert problem.startswith(f"[certificates] vault_key = {state.vault_key} {why}")
    state.vault_key.unlink()
    with pytest.raises(SettingsError, match=r"vault\.key cannot be read"):
        drivers.secrets(complete, Database("sqlite://"), SystemClock())


def test_what_seals_the_material_of_load_balancers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = "1" * 32, "two-" * 7 + "tw_="

    def seal(passphrases: str, more: str = "cert_manager = local_cert_manager") -> Seal:
        return drivers.seal(settings(tmp_path, f"{more}\nserver_certs_key_passphrase = {passphrases}"))

    sealed = seal(one).seal(b"text", "here")
    assert seal(f"{two}, {one}").open(sealed, "here") == b"text"
    assert seal(one).open(seal(f"{one},{two}").seal(b"text", "here"), "here") == b"text"
    for other in (seal(two), drivers.seal(settings(tmp_path, ""))):
        with pytest.raises(SealBroken):
            other.open(sealed, "here")
    for wrong, why in (("", "it is empty"), ("short", "number 1 is not"), (f"{one},{two[1:]}!", "number 2 is not")):
        with pytest.raises(SettingsError, match=f"exactly 32 characters.*{why}"):
            seal(wrong)
    (problem,) = drivers.problems(
        settings(tmp_path, "cert_manager = noop_cert_manager\nserver_certs_key_passphrase = x"), ["cert_manager"]
    )
    assert "exactly 32 characters" in problem
    monkeypatch.setenv("TLS_PASS_AMPS_DEFAULT", one)
    assert drivers.seal(Settings()).open(sealed, "here") == b"text"

    # The vault's own key comes first, and what everybody knows opens nothing then.
    key = tmp_path / "vault.key"
    key.write_text("ab" * 32)
    vault = f"cert_manager = local_vault\nvault_key = {key}"
    assert seal(one, vault).open(sealed, "here") == b"text"
    with pytest.raises(SealBroken):
        seal(one).open(seal(one, vault).seal(b"text", "here"), "here")
    known = seal(SAMPLE_PASSPHRASE).seal(b"text", "here")
    with pytest.raises(SealBroken):
        seal(SAMPLE_PASSPHRASE, vault).open(known, "here")


def test_a_seal_that_everybody_knows_is_told(tmp_path: Path) -> None:
    (warning,) = drivers.about_secrets(settings(tmp_path, "cert_manager = local_cert_manager"))
    assert "server_certs_key_passphrase is not set" in warning
    own = f"cert_manager = local_cert_manager\nserver_certs_key_passphrase = {'x' * 32}"
    assert drivers.about_secrets(settings(tmp_path, own)) == []
    assert drivers.about_secrets(settings(tmp_path, "cert_manager = local_vault")) == []
