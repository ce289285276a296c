"""References to key material: their syntax, and what the no-op store's material is good for."""

from livia.core.model.secret import Authorities, KeyedCertificate, Named, RevocationLists, Use
from livia.core.rules.references import (
    LISTENER,
    POOL,
    acceptable,
    file_name,
    named,
    read,
    vault_id,
    vault_reference,
)
from livia.core.rules.verdict import ACCEPT
from livia.drivers.secrets.noop import NoopSecrets

ID = "0d0f7a0c-3c55-4a39-9a38-2f0b7a1c9e01"


def test_references_of_the_vault() -> None:
    assert vault_id(vault_reference(ID)) == ID
    for text in ("", ID, f"livia://secrets/{ID} ", "livia://secrets/", f"livia://secrets/{ID.upper()}", f"x{ID}"):
        assert vault_id(text) is None, text


def test_references_that_are_file_names() -> None:
    for text in (ID, "web", "web.2", "_x", "a" * 255):
        assert file_name(text) == text
    for text in ("", ".", "..", ".web", "a/b", "/etc/passwd", "a\x00", "a b", "a\n", "a" * 256, "ä"):
        assert file_name(text) is None, text


def test_what_attributes_name() -> None:
    listener = {
        "default_tls_container_ref": "a",
        "sni_container_refs": ["a", "b"],
        "client_ca_tls_container_ref": "a",
        "client_crl_container_ref": None,
        "name": "c",
    }
    certificates = (Named(Use.CERTIFICATE, "a"), Named(Use.CERTIFICATE, "b"))
    assert named(LISTENER, listener) == (*certificates, Named(Use.AUTHORITY, "a"))
    assert named(LISTENER, {"sni_container_refs": None}) == ()
    assert named(POOL, {"crl_container_ref": "x"}) == (Named(Use.REVOCATION_LIST, "x"),)


def test_the_noop_store_serves_every_use() -> None:
    material = NoopSecrets().read("anything", None)
    kinds = {
        Use.CERTIFICATE: KeyedCertificate,
        Use.AUTHORITY: Authorities,
        Use.REVOCATION_LIST: RevocationLists,
    }
    for use, kind in kinds.items():
        assert isinstance(read(use, material), kind), use
    pool = {"tls_container_ref": "a", "ca_tls_container_ref": "b", "crl_container_ref": "c"}
    assert acceptable(POOL, pool, {each: read(each.use, material) for each in named(POOL, pool)}) == ACCEPT
