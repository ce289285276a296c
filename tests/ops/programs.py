"""The programs that operators of OpenStack know, for tests: on an octavia.conf, until they are told to end."""

import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import urllib3

from tests.ports import free_port

_CONF = """
[DEFAULT]
transport_url = fake://
[database]
connection = {url}
[api_settings]
bind_port = {port}
auth_strategy = {strategy}
enabled_provider_drivers = amphora: ours, noop_driver: nobody's, noop_driver-alt: nobody's either
[controller_worker]
network_driver = network_noop_driver
compute_driver = compute_noop_driver
amphora_driver = amphora_noop_driver
[certificates]
cert_manager = noop_cert_manager
[livia]
wake_socket = {directory}/wake.sock
"""
#: what installed scripts do
_SCRIPT = "import sys; from livia.ops.programs import {} as main; sys.exit(main())"
#: seconds that nothing takes that will ever happen: each program is an interpreter that starts among others
PATIENCE = 60.0
SUBNET = "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"


def configured(directory: Path, url: str = "", strategy: str = "noauth") -> tuple[Path, int]:
    """An octavia.conf, by default for SQLite in the directory, and the API's port in it."""
    port = free_port()
    path = directory / f"{strategy}.conf"
    url = url or f"sqlite:///{directory / 'octavia.db'}"
    path.write_text(_CONF.format(url=url, port=port, strategy=strategy, directory=directory))
    return path, port


def _took_too_long(_number: int, _frame: object) -> None:
    raise TimeoutError("the program runs instead of refusing")


def told(main: Any, *arguments: object) -> tuple[int, str, str]:
    """The exit status of a program, what it printed, and what it said of errors."""
    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, _took_too_long)
    signal.alarm(30)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status: int = main([str(each) for each in arguments])
    finally:
        signal.alarm(0)
    return status, out.getvalue(), err.getvalue()


def command(program: str, conf: Path) -> list[str]:
    """What starts a program on an octavia.conf."""
    return [sys.executable, "-c", _SCRIPT.format(program), "--config-file", str(conf)]


@contextmanager
def obeying(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """A program while it runs; at the end it must obey SIGTERM. Its pipes are read to their end and closed."""
    try:
        yield
        process.terminate()
        # One whose interpreter still starts, while others did all there was to do, dies of it.
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def running(program: str, conf: Path) -> Iterator[None]:
    """A program on an octavia.conf while it runs."""
    with obeying(subprocess.Popen(command(program, conf))):
        yield


class Api:
    """The load balancers of an API, as an operator's tools see them."""

    def __init__(self, port: int) -> None:
        self._path = f"http://127.0.0.1:{port}/v2/lbaas"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer. Headers: `X_Project_Id="…"`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, path, json=body, headers=named)

    def send(self, method: str, path: str, **options: Any) -> Any:
        """The answer to a request as urllib3 takes it."""
        return urllib3.request(method, f"{self._path}{path}", retries=False, timeout=20, **options)

    def status(self, load_balancer_id: str) -> str:
        """The provisioning status of a load balancer."""
        answer = self.ask("GET", f"/loadbalancers/{load_balancer_id}", X_Roles="admin")
        found: str = answer.json()["loadbalancer"]["provisioning_status"]
        return found

    def wait(self, what: str, load_balancer_id: str = "") -> None:
        """Until a load balancer has a status, or without one until the API answers."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if not load_balancer_id or self.status(load_balancer_id) == what:
                    self.ask("GET", "/loadbalancers")
                    return
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not {what}")
