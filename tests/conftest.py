"""What every test run is told about the machine."""

from tests.database import ADDRESSES, SERVERS


def pytest_report_header() -> str:
    """Which databases the store is tested on here."""
    missing = [kind for kind in ADDRESSES if kind not in SERVERS]
    note = f"; not reachable at its standard local address: {', '.join(missing)}" if missing else ""
    return f"databases: sqlite, {', '.join(SERVERS)}{note}"
