"""Both services, each one process of its API on a database of its own, from the same octavia.conf.

The incumbent comes from the package registry, into an environment of its own, and is run as its published
configuration says (contract 90). Drivers are the no-op ones and the message bus stays in memory: what is measured
is the API and the database.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

from rich.console import Console
from sqlalchemy import URL

from benchmarks.mariadb import free_port
from benchmarks.subject import Subject, started

#: the incumbent's environment; kept, so that a second run starts at once
PEER = Path(".bench/peer").absolute()
_PACKAGES = ("octavia", "gunicorn", "pymysql")
_CONFIG = """
[DEFAULT]
transport_url = fake://
[api_settings]
auth_strategy = noauth
bind_port = {port}
[database]
connection = {database}
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
image_driver = image_noop_driver
[certificates]
cert_manager = noop_cert_manager
[health_manager]
heartbeat_key = benchmark
"""
#: the incumbent's web server: one process, as many threads as ours
_GUNICORN = """
wsgi_app = "octavia.wsgi.api:application"
bind = "127.0.0.1:{port}"
workers = 1
worker_class = "gthread"
threads = 4
keepalive = 60
"""


@contextmanager
def ours(database: URL, directory: Path) -> Iterator[Subject]:
    """Our API, on an empty database."""
    port = free_port()
    config = _configured(directory / "octavia.conf", database, port)
    programs = Path(sys.executable).parent
    _run([programs / "octavia-db-manage", "--config-file", config, "upgrade", "head"])
    command = [str(programs / "octavia-api"), "--config-file", str(config)]
    with started("Livia", command, port=port, database=database, log=directory / "log") as subject:
        yield subject


@contextmanager
def peer(database: URL, directory: Path) -> Iterator[Subject]:
    """The incumbent's API, on an empty database."""
    port = free_port()
    # Where its programs look first: no argument has to pass through the server that runs it.
    config = _configured(directory / ".octavia/octavia.conf", database, port)
    (directory / "gunicorn.conf.py").write_text(_GUNICORN.format(port=port))
    environment = without_ours(directory)
    _run([PEER / "bin/octavia-db-manage", "--config-file", config, "upgrade", "head"], env=environment)
    options = {"cwd": directory, "env": environment}
    command = [str(PEER / "bin/gunicorn")]
    with started("the peer", command, port=port, database=database, log=directory / "log", **options) as subject:
        yield subject


def without_ours(home: Path) -> dict[str, str]:
    """The incumbent's environment variables: it has nothing of ours, wherever ours is imported from."""
    environment = {**os.environ, "HOME": str(home), "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    return environment


def install(console: Console) -> str:
    """Make the incumbent's environment, unless it is there. Its version."""
    if not all((PEER / "bin" / program).exists() for program in ("octavia-db-manage", "gunicorn")):
        console.print(f"Installing {', '.join(_PACKAGES)} into {PEER} ...", highlight=False)
        _run([sys.executable, "-m", "venv", "--clear", PEER])
        _run([PEER / "bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", *_PACKAGES])
    site = [str(path) for path in PEER.glob("lib/*/site-packages")]
    return next(each.version for each in distributions(path=site, name="octavia"))


def _configured(path: Path, database: URL, port: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(_CONFIG.format(database=database.render_as_string(hide_password=False), port=port))
    return path


def _run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stderr[-2000:]}")
