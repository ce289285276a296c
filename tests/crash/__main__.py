"""`make chaos`: random writes amid random faults, for as long as you like. Ends with 1 when a promise was broken."""

import argparse
import os
import random
import subprocess
import sys

from tests.crash.campaign import Broken, Campaign
from tests.crash.databases import KINDS
from tests.crash.installation import Machine


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    options.add_argument("--minutes", type=float, default=3.0, help="how long it goes on")
    options.add_argument("--seed", type=int, default=None, help="of all that is random; by default another each time")
    options.add_argument("--database", choices=sorted(KINDS), default="sqlite", help="what it keeps everything in")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    seed = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    if not given.inside:
        return _in_a_namespace(
            ["--minutes", str(given.minutes), "--seed", str(seed), "--database", given.database, "--inside"]
        )
    print(f"seed {seed}, {given.minutes:g} minutes on {given.database}", flush=True)
    return _campaign(seed, given.minutes * 60, given.database)


def _in_a_namespace(arguments: list[str]) -> int:
    """Run in a network namespace of its own: no port and no rule meets another's."""
    name = f"livia-crash-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        # Of ip-netns(8) exec would also be a mount namespace, in which the agent's namespaces could not be seen.
        inside = ["nsenter", f"--net=/run/netns/{name}", sys.executable, "-m", "tests.crash", *arguments]
        return subprocess.run(inside, check=False).returncode
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def _campaign(seed: int, seconds: float, database: str) -> int:
    machine = Machine(KINDS[database]())
    try:
        machine.open()
        campaign = Campaign(machine, seed, lambda text: print(text, flush=True))
        try:
            campaign.run(seconds)
        except Broken as broken:
            print(f"BROKEN with seed {seed}:\n{broken}", flush=True)
            return 1
        finally:
            campaign.close()
        print(campaign.text(), flush=True)
        return 0
    finally:
        machine.close()


if __name__ == "__main__":
    sys.exit(main())
