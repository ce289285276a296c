"""`livia ca`: the built-in authorities, and what they signed."""

from datetime import UTC, datetime

from cryptography import x509
from rich.console import Console
from rich.table import Table

from livia.ops import housekeeping
from livia.ops.services import Installation
from livia.ops.state import agents_authority, controllers_authority
from livia.ops.tables import listing
from livia.pki.authority import fingerprint
from livia.pki.rollover import Rollover


def rotate(installation: Installation) -> list[str]:
    """Begin to roll both authorities over; a sentence for each. Raises AuthorityError."""
    hours = installation.settings.house.cert_interval / 3600
    told = []
    for rollover in _authorities(installation):
        if rollover.begin():
            told.append(
                f"{rollover.name}: a new authority is trusted from now on. A running Livia lets it sign after "
                f"{hours:g} h, moves every certificate to it, and trusts the earlier one no more when nobody uses it."
            )
        elif rollover.supplied is None or rollover.coming() or rollover.leaving():
            told.append(f"{rollover.name}: a roll-over is under way already.")
        else:
            told.append(
                f"{rollover.name}: it is that of [certificates] ca_certificate. Replace that file and ca_private_key: "
                "the house rolls over to what they hold then."
            )
    return told


def show(installation: Installation, console: Console) -> None:
    """Print authorities and certificates with their ends. Raises AuthorityError."""
    table = listing("Certificate", "State", "Ends", "Days left", "SHA-256", title="Certificates")
    now = installation.clock.now().replace(tzinfo=UTC)
    for rollover in _authorities(installation):
        rollover.open()
        for state, path in (("signs", "ca"), ("will sign", "next"), ("trusted only", "old")):
            file = rollover.directory / f"{path}.pem"
            if file.exists():
                _row(table, rollover.name, state, x509.load_pem_x509_certificate(file.read_bytes()), now)
    for name, file in (
        ("controllers", installation.state.controller_certificate),
        (f"agent {installation.state.host_name}", installation.state.agent_certificate),
    ):
        _row(table, name, "in use", x509.load_pem_x509_certificate(file.read_bytes()), now)
    console.print(table)


def _row(table: Table, name: str, state: str, certificate: x509.Certificate, now: datetime) -> None:
    ends = certificate.not_valid_after_utc
    days = (ends - now).total_seconds() / 86400
    table.add_row(name, state, f"{ends:%Y-%m-%d %H:%M:%S} UTC", f"{days:.1f}", fingerprint(certificate)[:16])


def _authorities(installation: Installation) -> tuple[Rollover, Rollover]:
    directory, clock = installation.state.pki_directory, installation.clock
    supplied = housekeeping.supplied(installation.settings)
    return agents_authority(directory, clock, supplied), controllers_authority(directory, clock)
