"""`local_cert_manager`: files by reference, and nothing outside their directory."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livia.core.drivers import SecretNotFound, SecretUnreadable
from livia.core.model.secret import LARGEST, KeyedCertificate, Material
from livia.core.rules.certificates import keyed_certificate
from livia.drivers.secrets.files import FileSecrets
from tests.keymaterial import INTERMEDIATE, ROOT, WEB


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "outside.crt").write_bytes(ROOT.pem)
    inside = tmp_path / "certificates"
    inside.mkdir()
    return inside


def test_parts_are_found(directory: Path) -> None:
    for suffix, content in (
        ("crt", WEB.pem),
        ("key", WEB.key_pem(b"p")),
        ("int", INTERMEDIATE.pem),
        ("pass", b"p\n"),
    ):
        (directory / f"web.{suffix}").write_bytes(content)
    (directory / "ca-1.0.crt").write_bytes(ROOT.pem)
    store = FileSecrets(directory)
    found = store.read("web", "any")
    assert found.passphrase == b"p"
    assert isinstance(keyed_certificate(found), KeyedCertificate)
    assert store.read("ca-1.0", None) == Material(content=ROOT.pem)


def test_what_is_not_there(directory: Path) -> None:
    store = FileSecrets(directory)
    (directory / "only.key").write_bytes(WEB.key_pem())
    (directory / ".hidden.crt").write_bytes(ROOT.pem)
    for reference in ("web", "only", "", ".", "..", ".hidden", "../outside", f"{directory.parent}/outside", "a\nb"):
        with pytest.raises(SecretNotFound):
            store.read(reference, None)


def test_what_cannot_be_read(directory: Path) -> None:
    store = FileSecrets(directory)
    (directory / "folder.crt").mkdir()
    (directory / "large.crt").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(SecretUnreadable, match="its log says why"):
        store.read("folder", None)
    with pytest.raises(SecretUnreadable, match="larger"):
        store.read("large", None)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reference=st.text(max_size=300))
def test_any_reference_is_answered(directory: Path, reference: str) -> None:
    with pytest.raises(SecretNotFound):
        FileSecrets(directory).read(reference, None)
