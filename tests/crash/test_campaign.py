"""Three minutes of random writes amid random faults (`make chaos MINUTES=60`: longer)."""

import subprocess
import sys

#: with start, the last round's end and clean-up it is three
_MINUTES = 2.6
#: seconds that these may take when something is slow
_ROOM = 300.0


def test_every_promise_is_kept_amid_faults() -> None:
    """What fails is told with its seed, the last operations and faults, and the ends of the services' logs."""
    command = [sys.executable, "-m", "tests.crash", "--minutes", str(_MINUTES)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=_MINUTES * 60 + _ROOM
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "rounds" in done.stdout
