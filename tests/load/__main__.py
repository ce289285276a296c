"""`make campaign`: every change of the API, many times, under traffic. Ends with 1 when the traffic noticed."""

import argparse
import sys
from contextlib import contextmanager

from tests.load.campaign import campaign
from tests.system.conftest import make_system


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    options.add_argument("--rounds", type=int, default=50, help="how often each change is made")
    options.add_argument("--topology", default="SINGLE", choices=("SINGLE", "ACTIVE_STANDBY"))
    given = options.parse_args()
    with contextmanager(make_system)() as system:
        result = campaign(system, given.topology, range(given.rounds), lambda text: print(text, flush=True))
    print(result.text())
    return 1 if result.disturbed else 0


if __name__ == "__main__":
    sys.exit(main())
