"""What the built-in authorities issue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from livia.pki.authority import Authority


def test_a_clock_that_is_set_back_by_days_does_not_part_controllers_from_agents(tmp_path: Path) -> None:
    """A machine whose clock was wrong at its first start must not be unusable until the time of then comes again."""
    authority = Authority.open(tmp_path / "agents", "Livia agents")
    issued = x509.load_pem_x509_certificate(authority.issue("host"))
    root = x509.load_pem_x509_certificate(authority.certificate_path.read_bytes())
    corrected = datetime.now(UTC) - timedelta(days=2)
    assert issued.not_valid_before_utc < corrected < issued.not_valid_after_utc
    assert root.not_valid_before_utc < corrected < root.not_valid_after_utc
