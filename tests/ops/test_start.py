"""What a person meets who starts Livia wrongly, or on a machine that is not ready: one sentence each."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from livia.ops import preflight
from livia.ops.octavia_conf import load
from livia.ops.settings import CONTRACT, EMBEDDED, SettingsError
from livia.ops.state import AlreadyRunningError, State
from livia.pki.authority import Authority, AuthorityError
from tests import ports

PORTS = "[api_settings]\nbind_port={}\n[health_manager]\nbind_port=25556\n[haproxy_amphora]\nbind_port=29444\n"


def livia(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    command = [sys.executable, "-m", "livia.ops.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "octavia.conf"
        config.write_text(PORTS.format(port))
        ended = livia("--state-directory", str(tmp_path / "s"), "--config-file", str(config), "up")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"port {port}" in line
    assert "bind_port" in line
    assert not ended.stdout


def test_missing_programs_are_named_with_their_packages() -> None:
    (sentence,) = preflight.missing_programs("/nonexistent")
    assert sentence.startswith("Not installed: haproxy, keepalived")
    assert "apt-get install haproxy keepalived" in sentence


def test_an_open_address_needs_an_auth_strategy(tmp_path: Path) -> None:
    config = tmp_path / "octavia.conf"
    config.write_text("[api_settings]\nbind_host = 0.0.0.0\nbind_port = 29877\n")
    ended = livia("--state-directory", str(tmp_path / "s"), "--config-file", str(config), "up")
    assert ended.returncode == 1
    assert "without authentication" in ended.stderr


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("postgresql+psycopg://livia:s3cret@127.0.0.1:{}/livia", "The database postgresql+psycopg://livia:***@"),
        ("nowhere://livia:s3cret@127.0.0.1/livia", "[database] connection cannot be used: "),
        ("mysql+oursql://livia:s3cret@127.0.0.1/livia", "[database] connection cannot be used: "),
        ("livia:s3cret", "[database] connection cannot be used: "),
    ],
)
@pytest.mark.parametrize("command", ["up", "status"])
def test_a_database_that_does_not_answer_is_told_in_a_sentence(
    tmp_path: Path, url: str, sentence: str, command: str
) -> None:
    config = tmp_path / "octavia.conf"
    config.write_text(f"{ports.installation()}[database]\nconnection = {url.format(ports.free_port())}\n")
    ended = livia("--state-directory", str(tmp_path / "s"), "--config-file", str(config), command)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith(sentence)
    assert "s3cret" not in line


def test_a_locked_state_directory_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.prepare()
    with state.lock():
        ended = livia("--state-directory", str(state.directory), "up")
        with pytest.raises(AlreadyRunningError):
            state.lock()
    assert ended.returncode == 1
    assert "running" in ended.stderr


def test_status_of_nothing(tmp_path: Path) -> None:
    ended = livia("--state-directory", str(tmp_path / "s"), "status")
    assert ended.returncode == 1
    assert "livia up" in ended.stderr


def test_keys_are_private_and_authorities_are_two(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.prepare()
    secret = [path for path in state.directory.rglob("*") if path.suffix in (".key", ".pem")]
    assert len(secret) == 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    agents, controllers = (
        x509.load_pem_x509_certificate(path.read_bytes()) for path in (state.agents_ca, state.controllers_ca)
    )
    assert agents.public_key() != controllers.public_key()
    certificate = x509.load_pem_x509_certificate(state.agent_certificate.read_bytes())
    certificate.verify_directly_issued_by(agents)
    with pytest.raises(ValueError, match="issuer"):
        certificate.verify_directly_issued_by(controllers)


def test_a_damaged_authority_says_which_file(tmp_path: Path) -> None:
    Authority.open(tmp_path / "ca", "Livia agents")
    (tmp_path / "ca" / "ca.key").write_text("garbage")
    with pytest.raises(AuthorityError, match=str(tmp_path / "ca")):
        Authority.open(tmp_path / "ca", "Livia agents")


def test_settings_are_read_and_unknown_ones_are_told(tmp_path: Path) -> None:
    config = tmp_path / "octavia.conf"
    config.write_text(
        "[DEFAULT]\ndebug = yes\ngraceful_shutdown_timeout = 3\n"
        "[api_settings]\nbind_prt = 1\nallow_pagination = False\npagination_max_limit = infinite\n"
        "tls_cipher_blacklist = RC4-MD5\n"
        "enabled_provider_drivers = amphora:One., octavia:Two.\n"
        "[health_manager]\nheartbeat_interval = 1.5\n"
        "[networking]\nreserved_ips = 10.0.0.1, 10.0.0.2\n"
        "[haproxy_amphora]\nhaproxy_stick_size = 20k\n"
        "[nova]\nenable_anti_affinity = true\navailability_zone = z\n"
        "[keystone_authtoken]\nauth_url = http://keystone\n"
        "[oslo_policy]\nenforce_scope = true\n"
        "[quota]\ndefault_listener_quota = 3\n"
        "[house_keeping]\ncleanup_intervall = 3\ncert_rotate_threads = 3\n"
    )
    settings, warnings = load([config])
    assert settings.health.heartbeat_interval == 1.5
    assert settings.health.heartbeat_timeout == EMBEDDED.health.heartbeat_timeout
    assert settings.api.allow_pagination is False
    assert settings.api.pagination_max_limit == "infinite"
    assert settings.api.enabled_provider_drivers == {"amphora": "One.", "octavia": "Two."}
    assert settings.api.reserved_ips == ("10.0.0.1", "10.0.0.2")
    assert settings.agent.haproxy_stick_size == "20k"
    assert settings.common.debug is True
    assert settings.api.tls_cipher_prohibit_list == "RC4-MD5"
    assert warnings == [
        "[DEFAULT] graceful_shutdown_timeout: no effect here.",
        "[api_settings] bind_prt is read by nobody. Is bind_port meant?",
        "[nova] has no effect here.",
        "[keystone_authtoken] has no effect here.",
        "[oslo_policy] enforce_scope: no effect here.",
        "[quota] is read by nobody. Is quotas meant?",
        "[house_keeping] cert_rotate_threads: no effect here.",
        "[house_keeping] cleanup_intervall is read by nobody. Is cleanup_interval meant?",
    ]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("heartbeat_timeout = 10", "every amphora is suspected between any two heartbeats, and asked whether it lives"),
        ("heartbeat_timeout = 29", "an amphora is suspected when a heartbeat or two of it are lost"),
        ("heartbeat_timeout = 30", None),
        ("heartbeat_timeout = 5\nheartbeat_interval = 1", None),
    ],
)
def test_a_timeout_of_few_heartbeats_is_told_of(tmp_path: Path, text: str, outcome: str | None) -> None:
    config = tmp_path / "octavia.conf"
    config.write_text(f"[health_manager]\n{text}\n")
    settings, warnings = load([config], CONTRACT)
    if outcome is None:
        assert warnings == []
        return
    timeout = settings.health.heartbeat_timeout
    assert warnings == [
        f"[health_manager] heartbeat_timeout = {timeout:g} is less than three times heartbeat_interval = 10: {outcome}."
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[api_settings]\nbind_port = many\n", "bind_port = 'many'"),
        ("[api_settings]\nauth_strategy = none\n", "auth_strategy = 'none'"),
        (
            "[haproxy_amphora]\nhaproxy_stick_size = 10 kilo\n",
            "haproxy_stick_size = '10 kilo': it is a number of entries",
        ),
        ("no section at all\n", "cannot be read"),
        ("[house_keeping]\ncleanup_interval = 0\n", "cleanup_interval = '0': it is 1 or more."),
        ("[health_manager]\nheartbeat_timeout = nan\n", "heartbeat_timeout = 'nan': it is 0.1 or more."),
        ("[health_manager]\nfailover_threads = 0\n", "failover_threads = '0': it is 1 or more."),
        ("[house_keeping]\nspare_amphora_pool_size = -1\n", "spare_amphora_pool_size = '-1': it is 0 or more."),
        ("[livia]\norphan_check_interval = inf\n", "orphan_check_interval = 'inf': it is 1 or more."),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    config = tmp_path / "octavia.conf"
    config.write_text(text)
    with pytest.raises(SettingsError):
        load([config])
    ended = livia("--config-file", str(config), "status")
    assert ended.returncode == 1
    assert sentence in ended.stderr


def test_what_needs_a_livia_says_so(tmp_path: Path) -> None:
    for command in (("retry", "some-id"), ("canary",)):
        ended = livia("--state-directory", str(tmp_path / "s"), *command)
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert "livia up" in line
