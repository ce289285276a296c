"""HAProxy as its sockets show it, and a second HAProxy that is started from the same files on disk.

What is compared is what a file or a command sets (management guide, section 9.3, `show servers state`; section 9.1,
`show stat`; `show ssl ...`). Left out: what checks found, counters and times; `srv_iweight`, which stays at the first
weight when another is set; the order of servers, on which no algorithm of ours depends.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

from livia.agent.haproxy.runtime import RuntimeApiError, Worker
from livia.agent.plumbing import kernel
from tests.waiting import wait_for

#: what was asked about, to what is set there
State: TypeAlias = dict[tuple[str, ...], dict[str, Any]]

_SERVER = (
    *("be_id", "srv_id", "srv_addr", "srv_uweight", "bk_f_forced_id", "srv_f_forced_id", "srv_port", "srv_use_ssl"),
    *("srv_check_port", "srv_check_addr"),
)
#: srv_admin_state: maintenance (1) and drain (8) asked for by an administrator, and by no file or tracked server
_ASKED_FOR = 0x01 | 0x08
#: srv_check_state: configured (2) and enabled (4), and not the check that is in progress
_CHECKED = 0x02 | 0x04
_STATISTIC = ("slim", "act", "bck", "sid", "type", "rate_lim", "check_rise", "check_fall", "mode", "algo", "cookie")
#: of backends these say how many servers are up
_COUNTS = frozenset({"act", "bck"})


def state(worker: Worker) -> State:
    """All of it. Raises RuntimeApiError."""
    return _servers(worker) | _statistics(worker) | _key_material(worker)


def differences(one: State, other: State) -> dict[tuple[str, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """What is not the same, and of that only the fields that are not."""
    found = {}
    for key in one.keys() | other.keys():
        left, right = one.get(key, {}), other.get(key, {})
        names = {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
        if names:
            pick = [{name: value for name, value in side.items() if name in names} for side in (left, right)]
            found[key] = (pick[0], pick[1])
    return found


def _servers(worker: Worker) -> State:
    _version, titles, *lines = worker.ask("show servers state").splitlines()
    found: State = {}
    for line in lines:
        row = dict(zip(titles.lstrip("# ").split(), line.split(), strict=True))
        found["server", row["be_name"], row["srv_name"]] = {
            **{name: row[name] for name in _SERVER},
            "admin": int(row["srv_admin_state"]) & _ASKED_FOR,
            "checked": int(row["srv_check_state"]) & _CHECKED,
        }
    return found


def _statistics(worker: Worker) -> State:
    titles, *lines = worker.ask("show stat").splitlines()
    names = titles.lstrip("# ").split(",")
    found: State = {}
    for line in lines:
        # The text of the last check may hold commas; all that is compared but the last two stands elsewhere.
        row = dict(zip(names, line.split(","), strict=False))
        kind = row["svname"]
        left_out = _COUNTS if kind == "BACKEND" else frozenset[str]()
        found["statistics", row["pxname"], kind] = {
            **{name: row[name] for name in _STATISTIC if name not in left_out},
            "maintained": row["status"].startswith("MAINT"),
        }
    return found


def _key_material(worker: Worker) -> State:
    found: State = {}
    for kind in ("cert", "ca-file", "crl-file"):
        for line in worker.ask(f"show ssl {kind}").splitlines():
            name = line.partition(" - ")[0]
            if name and not line.startswith("#"):
                details = worker.ask(f"show ssl {kind} {name}").splitlines()
                found[kind, name] = {"said": [each for each in details if not each.startswith("Status")]}
    for name in worker.ask("show ssl crt-list").splitlines():
        if name:
            entries = worker.ask(f"show ssl crt-list {name}").splitlines()
            found["crt-list", name] = {"entries": sorted(each for each in entries if not each.startswith("#"))}
    return found


class Restarted:
    """What a HAProxy that starts from the files of an amphora's directory is like.

    `namespace` is one of its own, where the addresses of the amphora can be bound although nobody has them.
    """

    def __init__(self, program: Path, amphora: Path, place: Path, namespace: str) -> None:
        self._program = program
        self._amphora = amphora
        self._place = place
        self._namespace = namespace
        kernel.add(namespace)
        nonlocal_bind = [("ipv4/ip_nonlocal_bind", "1"), ("ipv6/ip_nonlocal_bind", "1")]
        kernel.inside(namespace, lambda: kernel.write_sysctls(nonlocal_bind))

    def state(self) -> State:
        """Start it, look at it and end it."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        shutil.copy(self._amphora / "haproxy.cfg", self._place)
        if (self._amphora / "state.start").exists():
            shutil.copy(self._amphora / "state.start", self._place / "state")
        if (self._amphora / "tls").exists():
            (self._place / "tls").symlink_to(self._amphora / "tls")
        command = ["nsenter", f"--net=/run/netns/{self._namespace}", str(self._program), "-db", "-f", "haproxy.cfg"]
        with (self._place / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self._place, stdout=log, stderr=log)
        worker = Worker(self._place)
        try:
            wait_for(lambda: worker.answers() or process.poll() is not None)
            return state(worker)
        except RuntimeApiError as error:
            raise AssertionError((self._place / "log").read_text()) from error
        finally:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Leave nothing."""
        kernel.delete(self._namespace)
