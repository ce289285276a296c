"""Key material by value: what can be used, and why the rest cannot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livia.core.model.secret import Authorities, KeyedCertificate, Material, RevocationLists
from livia.core.rules.certificates import (
    Fault,
    Unusable,
    authorities,
    broken_chain,
    describe,
    holds_private_key,
    issued_by,
    keyed_certificate,
    revocation_lists,
)
from tests.keymaterial import INTERMEDIATE, NAMELESS, OTHER, ROOT, WEB

KEY = WEB.key_pem()
DAMAGED = WEB.pem.replace(b"M", b"N", 3)

#: material that is the certificate of WEB with its intermediate
USABLE = {
    "parts": Material(content=WEB.pem, private_key=KEY, intermediates=INTERMEDIATE.pem),
    "a chain in the certificate's text": Material(content=WEB.pem + INTERMEDIATE.pem, private_key=KEY),
    "one text": Material(content=KEY + WEB.pem + INTERMEDIATE.pem),
    "an encrypted key": Material(
        content=WEB.pem, private_key=WEB.key_pem(b"s3cret"), intermediates=INTERMEDIATE.pem, passphrase=b"s3cret"
    ),
    "a passphrase nobody needs": Material(
        content=WEB.pem, private_key=KEY, intermediates=INTERMEDIATE.pem, passphrase=b"s3cret"
    ),
    "text around it, CRLF": Material(
        content=b"Subject: x\n" + (WEB.pem + INTERMEDIATE.pem).replace(b"\n", b"\r\n") + b"\nend", private_key=KEY
    ),
    "PKCS12": Material(content=WEB.pkcs12(chain=[INTERMEDIATE])),
    "PKCS12 with a passphrase": Material(content=WEB.pkcs12(b"p", [INTERMEDIATE]), passphrase=b"p"),
}

UNUSABLE: list[tuple[Material, Fault, str]] = [
    (Material(content=b""), Fault.UNREADABLE, "holds no certificate"),
    (Material(content=b"\xff\x00 garbage"), Fault.UNREADABLE, "holds no certificate"),
    (Material(content=KEY, private_key=KEY), Fault.UNREADABLE, "holds no certificate"),
    (Material(content=DAMAGED, private_key=KEY), Fault.UNREADABLE, "holds a certificate that cannot be read"),
    (Material(content=WEB.pem), Fault.UNREADABLE, "has no private key"),
    (Material(content=WEB.pem, private_key=WEB.pem), Fault.UNREADABLE, "has no private key"),
    (Material(content=WEB.pem, private_key=KEY.replace(b"M", b"N", 3)), Fault.UNREADABLE, "that cannot be read"),
    (Material(content=WEB.pem, private_key=OTHER.key_pem()), Fault.UNREADABLE, "does not belong to its certificate"),
    (Material(content=WEB.pem, private_key=WEB.key_pem(b"p")), Fault.UNREADABLE, "no passphrase for it"),
    (
        Material(content=WEB.pem, private_key=WEB.key_pem(b"p"), passphrase=b"q"),
        Fault.UNREADABLE,
        "its passphrase is another",
    ),
    (Material(content=WEB.pem, private_key=KEY, intermediates=b"x"), Fault.UNREADABLE, "intermediates without"),
    (Material(content=NAMELESS.pem, private_key=NAMELESS.key_pem()), Fault.NAMELESS, "neither"),
    (Material(content=NAMELESS.pkcs12()), Fault.NAMELESS, "neither"),
    (Material(content=b"0garbage"), Fault.PKCS12, "is no PKCS12 bundle"),
    (Material(content=WEB.pkcs12(b"p")), Fault.PKCS12, "passphrase is another"),
    (Material(content=WEB.pkcs12(b"p"), passphrase=b"q"), Fault.PKCS12, "passphrase is another"),
    (Material(content=WEB.pkcs12(b"p"), passphrase=b"p\x00"), Fault.PKCS12, "NUL"),
    (Material(content=WEB.pkcs12()[:-9]), Fault.PKCS12, "is no PKCS12 bundle"),
]


def test_usable_certificates() -> None:
    for name, material in USABLE.items():
        found = keyed_certificate(material)
        assert isinstance(found, KeyedCertificate), (name, found)
        assert found.certificate == WEB.pem, name
        assert found.private_key == KEY, name
        assert found.intermediates == (INTERMEDIATE.pem,), name
        assert found.common_name == "www.example.net"
        assert found.dns_names == ("www.example.net", "example.net")
        assert broken_chain(found) is None, name


def test_unusable_certificates() -> None:
    for number, (material, fault, why) in enumerate(UNUSABLE):
        found = keyed_certificate(material)
        assert isinstance(found, Unusable), (number, found)
        assert found.fault is fault, (number, found)
        assert why in found.why, (number, found)


def test_intermediates_are_put_in_order() -> None:
    for chain, broken in (
        ((INTERMEDIATE, ROOT), None),
        ((ROOT, INTERMEDIATE), None),
        ((ROOT,), "intermediate 1 (CN=root) did not issue the certificate"),
        ((OTHER, INTERMEDIATE), "intermediate 2 (CN=other.example.net) did not issue intermediate 1"),
        ((type(ROOT)("intermediate"),), "intermediate 1 (CN=intermediate) did not issue the certificate"),
    ):
        for material in (
            Material(content=WEB.pkcs12(chain=chain)),
            Material(content=WEB.pem, private_key=KEY, intermediates=b"".join(each.pem for each in chain)),
        ):
            found = keyed_certificate(material)
            assert isinstance(found, KeyedCertificate)
            assert broken_chain(found) == broken


def test_authorities_and_revocation_lists() -> None:
    bundle = authorities(Material(content=OTHER.pem + b"\n" + ROOT.pem))
    assert bundle == Authorities((OTHER.pem, ROOT.pem))
    both = revocation_lists(Material(content=ROOT.revocation_list() + OTHER.revocation_list()))
    foreign = revocation_lists(Material(content=ROOT.revocation_list() + INTERMEDIATE.revocation_list()))
    assert isinstance(both, RevocationLists)
    assert isinstance(foreign, RevocationLists)
    assert issued_by(both, bundle)
    assert not issued_by(foreign, bundle)
    # The same name, another key.
    namesake = type(ROOT)("root")
    assert not issued_by(both, Authorities((OTHER.pem, namesake.pem)))
    for content in (b"", KEY, DAMAGED, ROOT.revocation_list(), WEB.pkcs12()):
        refused = authorities(Material(content=content))
        assert isinstance(refused, Unusable), content
        assert refused.fault is Fault.AUTHORITY
    for content in (b"", WEB.pem, ROOT.revocation_list().replace(b"M", b"N", 3)):
        unread = revocation_lists(Material(content=content))
        assert isinstance(unread, Unusable), content
        assert unread.fault is Fault.REVOCATION_LIST


def test_nothing_shows_a_key() -> None:
    material = USABLE["parts"]
    secret = KEY.decode().splitlines()[1]
    assert secret not in repr(material)
    assert secret not in repr(keyed_certificate(material))
    assert holds_private_key(KEY)
    assert not holds_private_key(WEB.pem)


def test_a_certificate_says_who_it_is() -> None:
    said = describe(WEB.pem)
    assert (said.subject, said.issuer) == ("CN=www.example.net", "CN=intermediate")
    assert said.names == ("www.example.net", "example.net")
    assert said.starts < said.expires


_PIECES = st.sampled_from(
    (WEB.pem, KEY, WEB.key_pem(b"p"), ROOT.revocation_list(), WEB.pkcs12(), b"-----BEGIN CERTIFICATE-----\n", b"\n")
)


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    """Pieces of PEM and PKCS12 with some of their bytes exchanged, and noise between them."""
    text = bytearray(b"".join(draw(st.lists(_PIECES | st.binary(max_size=20), max_size=4))))
    for position in draw(st.lists(st.integers(0, max(0, len(text) - 1)), max_size=4 if text else 0)):
        text[position] = draw(st.integers(0, 255))
    return bytes(text)


# The library tells its programmers that it will read only DER one day.
@pytest.mark.filterwarnings("ignore:PKCS#12 bundle could not be parsed as DER:UserWarning")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(content=_texts(), key=st.none() | _texts(), chain=st.none() | _texts(), passphrase=st.none() | st.binary())
def test_garbage_is_answered(content: bytes, key: bytes | None, chain: bytes | None, passphrase: bytes | None) -> None:
    material = Material(content=content, private_key=key, intermediates=chain, passphrase=passphrase)
    assert isinstance(keyed_certificate(material), KeyedCertificate | Unusable)
    trusted, revoked = authorities(material), revocation_lists(material)
    assert isinstance(trusted, Authorities | Unusable)
    assert isinstance(revoked, RevocationLists | Unusable)
    if isinstance(trusted, Authorities) and isinstance(revoked, RevocationLists):
        assert issued_by(revoked, trusted) in (True, False)
