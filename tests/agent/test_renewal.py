"""Key material changes without a reload, survives what an amphora survives, and shows nowhere."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from msgspec.structs import replace

from livia.agent import main
from livia.agent.haproxy.runtime import Worker
from livia.agent.plumbing import kernel
from livia.core.report import Refused
from livia.core.spec import Spec
from tests.agent.lab import VIP, Lab, end, member, pool, single
from tests.agent.load import Load
from tests.agent.tls_site import Client, termination, tls_listener
from tests.keymaterial import ROOT, Holder
from tests.waiting import wait_for

FIRST = Holder("www.example.net", dns_names=("www.example.net",), issuer=ROOT)
SECOND = Holder("www.example.net", dns_names=("www.example.net",), issuer=ROOT)
EXTRA = Holder("extra.example.net", dns_names=("extra.example.net",), issuer=ROOT)
MORE = Holder("more.example.net", dns_names=("more.example.net",), issuer=ROOT)


@pytest.fixture
def client(running: Lab) -> Client:
    running.member("one", "172.31.213.11")
    return Client(running, running.namespace("client", "172.31.213.100"))


def _spec(*texts: str) -> Spec:
    return single((pool(member(1)),), (tls_listener(termination(*texts)),))


def _serve(lab: Lab, generation: int, *holders: Holder) -> None:
    texts = [each.text() for each in holders]
    lab.apply(_spec(*texts), generation, texts)


def _serial(client: Client) -> int:
    """Of the certificate that the VIP shows to a client that asks for no name."""
    context = client.context()
    context.check_hostname = False

    def visit() -> int:
        with socket.create_connection((VIP, 443), timeout=5) as plain, context.wrap_socket(plain) as stream:
            return x509.load_der_x509_certificate(stream.getpeercert(binary_form=True) or b"").serial_number

    return kernel.inside(client.namespace, visit)


class _Handshakes(Load):
    """A TLS handshake and a request at a time."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self.served = 0

    def answered(self) -> bool:
        return self.served > 0

    def run(self) -> None:
        while not self.finished.is_set():
            try:
                self.served += self._client.ask().status == 200
            except OSError as error:
                self.failures.append(repr(error))


def test_certificates_are_renewed_added_and_removed_under_load(running: Lab, client: Client) -> None:
    _serve(running, 1, FIRST, EXTRA)
    worker = running.worker_pid("amphora-5")
    with _Handshakes(client) as load:
        for generation, holders in enumerate([(SECOND, EXTRA), (SECOND, MORE), (FIRST,), (FIRST, EXTRA, MORE)] * 10, 2):
            _serve(running, generation, *holders)
            assert _serial(client) == holders[0].certificate.serial_number
            for name in ("extra.example.net", "more.example.net"):
                known = any(each.certificate.subject.rfc4514_string() == f"CN={name}" for each in holders)
                assert _knows(client, name) == known
    assert load.failures == []
    assert load.served > 10
    assert running.worker_pid("amphora-5") == worker
    # A restart from the files finds what the old process had been told.
    before = _state(running)
    end(worker)
    wait_for(lambda: Worker(_amphora(running)).answers() and running.worker_pid("amphora-5") != worker)
    assert _state(running) == before
    assert client.ask(name="more.example.net").shown == "more.example.net"


def _knows(client: Client, name: str) -> bool:
    try:
        return client.ask(name=name).shown == name
    except OSError:
        return False


def _amphora(lab: Lab) -> Path:
    return lab.config.state_directory / "amphorae" / "amphora-5"


def _state(lab: Lab) -> dict[str, str]:
    """What HAProxy has in each of its files."""
    worker = Worker(_amphora(lab))
    files = [each for each in worker.ask("show ssl cert").splitlines() if each.startswith("tls/")]
    listed = [each for each in worker.ask("show ssl crt-list tls/listener-1.list").splitlines() if ".pem" in each]
    return {file: worker.ask(f"show ssl cert {file}") for file in sorted(files)} | {"list": "\n".join(sorted(listed))}


def test_a_bad_certificate_leaves_the_good_one(running: Lab, client: Client) -> None:
    _serve(running, 1, FIRST)
    body = SECOND.key_pem().decode().splitlines()[1]
    mismatched = FIRST.pem.decode() + SECOND.key_pem().decode()
    broken = SECOND.text().replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA")
    for generation, text in enumerate((mismatched, broken, f"nonsense\n{body}\n"), 2):
        answer = running.put(_spec(text), generation, texts=(text,))
        assert isinstance(answer, Refused)
        assert (answer.code, "tls/listener-1.pem" in answer.details) == ("haproxy_refused", True), answer
        assert body not in answer.details + answer.message
        assert _serial(client) == FIRST.certificate.serial_number
    _serve(running, 9, SECOND)
    assert _serial(client) == SECOND.certificate.serial_number


def test_material_must_be_what_the_spec_names(running: Lab) -> None:
    spec = _spec(FIRST.text())
    for texts in ((), (SECOND.text(),)):
        answer = running.put(spec, texts=texts)
        assert isinstance(answer, Refused)
        assert (answer.code, "did not come" in answer.message) == ("invalid_spec", True)
    for version in ("SSLv3", "TLSv9"):
        tls = termination(FIRST.text(), versions=(version, "TLSv1.2"))
        answer = running.put(replace(spec, listeners=(tls_listener(tls),)), texts=(FIRST.text(),))
        assert isinstance(answer, Refused)
        assert (answer.code, version in answer.message) == ("invalid_spec", True)
    tls = termination(FIRST.text(), versions=("TLSv1.1", "TLSv1.3"))
    answer = running.put(replace(spec, listeners=(tls_listener(tls),)), texts=(FIRST.text(),))
    assert isinstance(answer, Refused)
    assert "cannot leave out TLSv1.2" in answer.message


def test_a_rebooted_host_serves_with_no_controller(running: Lab, client: Client) -> None:
    _serve(running, 1, FIRST, EXTRA)
    running.stop()
    # Namespaces, processes and what is in memory go, as when the host is switched off.
    main.down(running.config)
    assert not _amphora(running).joinpath("tls").exists()
    running.start()
    running.member("one", "172.31.213.11")
    client = Client(running, running.namespace("later", "172.31.213.101"))
    assert client.ask().status == 200
    assert client.ask(name="extra.example.net").shown == "extra.example.net"


def test_an_agent_that_starts_anew_changes_nothing(running: Lab, client: Client) -> None:
    _serve(running, 1, FIRST)
    worker = running.worker_pid("amphora-5")
    running.stop()
    running.start()
    assert running.worker_pid("amphora-5") == worker
    _serve(running, 2, SECOND)
    assert (_serial(client), running.worker_pid("amphora-5")) == (SECOND.certificate.serial_number, worker)


def test_no_key_lies_on_the_disk_and_none_stays_in_memory(
    running: Lab, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    _serve(running, 1, FIRST, EXTRA)
    _serve(running, 2, SECOND)
    memory = _amphora(running).joinpath("tls").resolve()
    assert sorted(path.name for path in memory.iterdir()) == ["listener-1.list", "listener-1.pem"]
    assert {path.stat().st_mode & 0o77 for path in (memory.parent, memory, *memory.iterdir())} == {0}
    secrets = [line for each in (FIRST, SECOND, EXTRA) for line in each.key_pem().splitlines()[1:-1]]
    files = [path for path in running.config.state_directory.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in (path for path in files if not path.resolve().is_relative_to(memory)):
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    said = capfd.readouterr()
    assert not any(secret.decode() in said.out + said.err for secret in secrets)
    assert running.remove("amphora-5") == 204
    assert not memory.parent.exists()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path, material_directory=tmp_path / "material")
    try:
        lab.start()
        yield lab
    finally:
        lab.close()


def test_keys_are_not_taken_to_a_disk(on_disk: Lab) -> None:
    text = FIRST.text()
    answer = on_disk.put(_spec(text), texts=(text,))
    assert isinstance(answer, Refused)
    assert (answer.code, "not on a tmpfs" in answer.message) == ("plumbing_failed", True)
    on_disk.apply(single((), ()))
