"""`livia host add` and the configuration of `amphora-agent`."""

import re
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from livia.agent.https import tls_context
from livia.ops import amphora_agent, host_files
from livia.ops.cli import main
from livia.ops.octavia_conf import load
from livia.ops.settings import CONTRACT, SettingsError
from livia.ops.state import State
from tests.ops.programs import told

CONF = """
[health_manager]
heartbeat_key = of-all
heartbeat_interval = 3
controller_ip_port_list = 192.0.2.1:5555,[2001:db8::1]:5556
[amphora_agent]
agent_server_cert = {directory}/cert.pem
agent_server_ca = {directory}/ca.pem
[livia]
host_name = web-2
host_address = 192.0.2.12
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    found = State(tmp_path / "state")
    found.prepare()
    return found


def add(state: State, directory: Path, *more: str) -> int:
    wanted = ("host", "add", "web-2", "--address", "192.0.2.12", "--to", str(directory / "web-2"))
    return main(["--state-directory", str(state.directory), *wanted, *more])


def test_its_files_are_all_that_an_agent_needs(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(state, tmp_path, "--zone", "east", "--capacity", "7", "--controller", "192.0.2.11:5555") == 0
    conf = tmp_path / "web-2" / host_files.FILE
    assert f"amphora-agent --config-file {conf}" in capsys.readouterr().out
    settings, warnings = load([conf], CONTRACT)
    assert warnings == []
    config = amphora_agent.config_of(settings)
    assert (config.name, config.address, config.bind_host, config.bind_port) == ("web-2", *["192.0.2.12"] * 2, 9443)
    assert (config.controllers, config.heartbeat_key) == ((("192.0.2.11", 5555),), state.heartbeat_key)
    assert (config.availability_zone, config.capacity, config.fabric_directory) == ("east", 7, None)
    # As the agent opens them; and controllers ask for the host's name.
    tls_context(config.certificate, config.client_ca)
    (certificate, *_) = x509.load_pem_x509_certificates(config.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web-2"]
    trusted = ssl.create_default_context(cafile=str(state.agents_ca)).get_ca_certs(binary_form=True)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(trusted[0]))
    for path in (tmp_path / "web-2").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_health_manager_that_it_cannot_reach_is_told(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(state, tmp_path) == 1
    assert "hears heartbeats on 127.0.0.1 only, where 192.0.2.12 cannot reach it" in capsys.readouterr().err
    assert not (tmp_path / "web-2").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("web/2", "--address", "192.0.2.12"), "'web/2' is no name of a host"),
        (("w" * 37, "--address", "192.0.2.12"), "36 letters"),
        (("web-2", "--address", "192.0.2.12", "--port", "0"), "--port is 1 to 65535"),
        (("web-2", "--address", "192.0.2.12", "--capacity", "-1"), "--capacity 0 or more"),
        (("web-2", "--address", "192.0.2.12", "--controller", "manager:5555"), "'manager:5555': each is an IP address"),
        (("web-2", "--address", "192.0.2.12", "--zone", "a\n[livia]"), "are of one line"),
        (("web-2", "--address", "web-2.example"), "--address 'web-2.example': it is the IP address"),
    ],
)
def test_what_is_no_host_is_refused(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], sentence: str
) -> None:
    arguments = ["--state-directory", str(state.directory), "host", "add", *given, "--to", str(tmp_path / "files")]
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "files").exists()


def test_without_authorities_there_is_no_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(State(tmp_path / "nothing"), tmp_path, "--controller", "192.0.2.11:5555") == 1
    assert "There are no authorities to sign its certificate" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def conf_for(directory: Path, change: tuple[str, str] = ("", "")) -> Path:
    for name in ("cert.pem", "ca.pem"):
        (directory / name).write_text("")
    path = directory / host_files.FILE
    path.write_text(CONF.format(directory=directory).replace(*change))
    return path


def test_health_managers_are_told_as_the_contract_has_them(tmp_path: Path) -> None:
    config = amphora_agent.config_of(load([conf_for(tmp_path)], CONTRACT)[0])
    assert config.controllers == (("192.0.2.1", 5555), ("2001:db8::1", 5556))
    assert (config.bind_host, config.state_directory, config.heartbeat_interval) == ("::", Path("/var/lib/octavia"), 3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("host_name = web-2", ""), "[livia] host_name is not set"),
        (("heartbeat_key = of-all", ""), "[health_manager] heartbeat_key is not set"),
        (("192.0.2.1:5555,[2001:db8::1]:5556", ""), "[health_manager] controller_ip_port_list is not set"),
        (("192.0.2.1:5555", "manager:5555"), "controller_ip_port_list = 'manager:5555': each is an IP address and"),
        (("192.0.2.1:5555", "192.0.2.1"), "controller_ip_port_list = '192.0.2.1': each is"),
        (("192.0.2.1:5555", "192.0.2.1:99999"), "controller_ip_port_list = '192.0.2.1:99999': each is"),
        (("192.0.2.12", "web-2"), "[livia] host_address = 'web-2': it is the IP address"),
        (("cert.pem", "gone.pem"), "gone.pem: it cannot be read: No such file"),
    ],
)
def test_what_is_wrong_in_its_file_is_told_in_a_sentence(
    tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    conf = conf_for(tmp_path, change)
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        amphora_agent.config_of(load([conf], CONTRACT)[0])
    status, _out, err = told(amphora_agent.main, "--config-file", conf)
    assert (status, sentence in err) == (1, True), err


def test_certificates_that_are_none_are_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    change = ("[amphora_agent]", f"[haproxy_amphora]\nbase_path = {tmp_path}/data\nbind_port = 0\n[amphora_agent]")
    status, _out, err = told(amphora_agent.main, "--config-file", conf_for(tmp_path, change))
    assert status == 1
    assert f"[amphora_agent] {tmp_path}/cert.pem, {tmp_path}/ca.pem: they cannot be used" in err
    assert list((tmp_path / "data").iterdir()) == []
