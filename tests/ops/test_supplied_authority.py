"""An authority of the operator's own, by [certificates] ca_certificate: what it signs, and how it is refused."""

import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from livia.core.clock import SystemClock
from livia.ops import programs
from livia.ops.state import State, agents_authority
from livia.pki.authority import AuthorityError
from livia.pki.supplied import SuppliedFiles
from tests import ports
from tests.keymaterial import write_root
from tests.ops.programs import configured, told


def livia(state: Path, conf: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "livia.ops.cli", "--state-directory", str(state), "--config-file", str(conf)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def configuration(files: SuppliedFiles) -> str:
    return (
        f"{ports.installation()}[certificates]\nca_certificate = {files.certificate}\n"
        f"ca_private_key = {files.private_key}\nca_private_key_passphrase = {files.passphrase}\n"
    )


def handshake(certificate: Path, trusted: Path, name: str) -> None:
    """What a controller does when it connects to an agent, in memory. Raises SSLError."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(trusted))
    server.load_cert_chain(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    )
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_agents_present_what_it_signed(tmp_path: Path, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    files = write_root(tmp_path / "own", "Shop root", key=key, passphrase=b"s3cret")
    state = State(tmp_path / "state")
    state.prepare(supplied=files)
    certificate = x509.load_pem_x509_certificate(state.agent_certificate.read_bytes())
    assert certificate.issuer.rfc4514_string() == "CN=Shop root"
    handshake(state.agent_certificate, state.agents_ca, state.host_name)
    issued = state.agent_certificate.read_bytes()
    state.prepare(supplied=files)
    assert state.agent_certificate.read_bytes() == issued, "it lasts"


def test_a_name_that_is_taken_away_leaves_what_signs(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare(supplied=write_root(tmp_path / "own", "Shop root"))
    before = state.agents_ca.read_bytes()
    state.prepare()
    assert state.agents_ca.read_bytes() == before
    own = agents_authority(state.pki_directory)
    assert own.begin()
    coming = own.coming()
    assert coming is not None
    assert coming.subject.rfc4514_string() == "CN=Livia agents"


def _other_key(directory: Path) -> None:
    write_root(directory / "more", "other")
    (directory / "more" / "ca.key").replace(directory / "ca.key")


def _dsa_key(directory: Path) -> None:
    key = dsa.generate_private_key(2048)
    (directory / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


#: what is done to the files in a directory, and what is said then
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no certificate": (lambda at: (at / "ca.pem").unlink(), "ca.pem cannot be used: it cannot be read (No such file"),
    "garbage": (lambda at: (at / "ca.pem").write_text("x"), "ca.pem cannot be used: it holds no certificate in PEM"),
    "no key": (lambda at: (at / "ca.key").unlink(), "ca.key cannot be read (No such file or directory)."),
    "garbled key": (lambda at: (at / "ca.key").write_text("x"), "ca.key holds no private key in PEM form."),
    "another key": (_other_key, "ca.key is not the key of ca_certificate = "),
    "a key of DSA": (_dsa_key, "ca.key is neither an RSA nor an elliptic curve key."),
    "a locked key": (lambda at: write_root(at, "x", passphrase=b"p"), "ca.key is encrypted: set ca_private_key_pass"),
    "no authority": (lambda at: write_root(at, "x", signs=False), "it is no authority's: the basic constraint CA"),
    "no root": (lambda at: write_root(at, "x", issuer="y"), "it was issued by CN=y, and is to be a root"),
    "ended": (lambda at: write_root(at, "x", life=-timedelta(days=1)), "UTC, which is not now."),
    "short": (lambda at: write_root(at, "x", key=rsa.generate_private_key(65537, 1024)), "has 1024 bits, and needs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_sign_is_refused(tmp_path: Path, case: str) -> None:
    files = write_root(tmp_path / "own", "Shop root")
    damage, sentence = REFUSED[case]
    damage(tmp_path / "own")
    with pytest.raises(AuthorityError) as error:
        files.read(SystemClock())
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "passphrase, sentence",
    [("other", "or ca_private_key_passphrase is another."), ("", "is encrypted: set ca_private_key_passphrase.")],
)
def test_a_start_with_what_cannot_sign_ends_with_a_sentence(tmp_path: Path, passphrase: str, sentence: str) -> None:
    files = write_root(tmp_path / "own", "Shop root", passphrase=b"s3cret")
    conf = tmp_path / "octavia.conf"
    conf.write_text(configuration(replace(files, passphrase=passphrase)))
    ended = livia(tmp_path / "state", conf, "up")
    (line,) = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert line.endswith(sentence)
    assert not (tmp_path / "state" / "pki").exists()


def test_half_of_it_is_refused(tmp_path: Path) -> None:
    conf = tmp_path / "octavia.conf"
    conf.write_text(f"{ports.installation()}[certificates]\nca_certificate = {tmp_path}/ca.pem\n")
    ended = livia(tmp_path / "state", conf, "up")
    assert "[certificates] ca_private_key is not set" in ended.stderr


def test_rotating_it_says_whose_it_is(tmp_path: Path) -> None:
    files = write_root(tmp_path / "own", "Shop root")
    conf, state = tmp_path / "octavia.conf", State(tmp_path / "state")
    conf.write_text(configuration(files))
    state.prepare(supplied=files)
    rotated = livia(state.directory, conf, "ca", "rotate")
    assert "Livia agents: it is that of [certificates] ca_certificate. Replace that file" in rotated.stdout
    assert "Livia controllers: a new authority is trusted from now on." in rotated.stdout


def test_the_house_alone_needs_it_where_it_signs(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path)
    given = f"[certificates]\nca_certificate = {tmp_path}/ca.pem\nca_private_key = {tmp_path}/ca.key\n"
    text = conf.read_text()
    conf.write_text(f"{text}{given}")
    said = told(programs.housekeeping, "--config-file", conf)[2]
    assert "[certificates] ca_certificate: no effect without pki_directory." in said
    conf.write_text(f"{text}{given}pki_directory = {tmp_path}/pki\n")
    status, _out, said = told(programs.housekeeping, "--config-file", conf)
    assert status == 1
    assert f"[certificates] ca_certificate = {tmp_path}/ca.pem cannot be used: it cannot be read" in said
