"""What the built-in authorities issue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import String

from livia.ops.state import State
from livia.pki.authority import Authority
from livia.store import tables as t


def test_a_clock_that_is_set_back_by_days_does_not_part_controllers_from_agents(tmp_path: Path) -> None:
    """A machine whose clock was wrong at its first start must not be unusable until the time of then comes again."""
    authority = Authority.open(tmp_path / "agents", "Livia agents")
    issued = x509.load_pem_x509_certificate(authority.issue("host"))
    root = x509.load_pem_x509_certificate(authority.certificate_path.read_bytes())
    corrected = datetime.now(UTC) - timedelta(days=2)
    assert issued.not_valid_before_utc < corrected < issued.not_valid_after_utc
    assert root.not_valid_before_utc < corrected < root.not_valid_after_utc


@pytest.mark.parametrize(
    "machine", ["web", "ip-10-0-12-34.eu-central-1.compute.internal", "n." * 14 + "-more.example", "h" * 64]
)
def test_the_host_of_a_machine_with_any_name_fits_into_certificates_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: machine)
    state = State(tmp_path / "state")
    state.prepare()
    assert isinstance(t.amphora_host.c.id.type, String)
    assert len(state.host_name) <= (t.amphora_host.c.id.type.length or 0)
    first, _, last = state.host_name.rpartition("-")
    assert machine.startswith(first)
    assert (first[-1].isalnum(), len(last)) == (True, 6)
    issued = x509.load_pem_x509_certificate(state.agent_certificate.read_bytes())
    assert issued.subject.rfc4514_string() == f"CN={state.host_name}"
