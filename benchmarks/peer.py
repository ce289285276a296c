"""The incumbent, from the package registry, in an environment of its own: installed, configured, and run.

Everything here follows its published configuration (contract 90). Its drivers are the no-op ones and its message
bus stays in memory, so that what is measured is the API and the database.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

from rich.console import Console
from sqlalchemy import URL

from benchmarks.mariadb import free_port
from benchmarks.subject import Subject, started

#: the environment; kept, so that a second run starts at once
_ENVIRONMENT = Path(".bench/peer").absolute()
_PACKAGES = ("octavia", "gunicorn", "pymysql")
_CONFIG = """
[DEFAULT]
transport_url = fake://
[api_settings]
auth_strategy = noauth
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
#: one process; threads as ours has them
_SERVER = """
wsgi_app = "octavia.wsgi.api:application"
bind = "127.0.0.1:{port}"
workers = 1
worker_class = "gthread"
threads = 4
keepalive = 60
"""


def install(console: Console) -> str:
    """Make the environment, unless it is there. The version that is in it."""
    python = _ENVIRONMENT / "bin/python"
    if not (_ENVIRONMENT / "bin/octavia-db-manage").exists() or not (_ENVIRONMENT / "bin/gunicorn").exists():
        console.print(f"Installing {', '.join(_PACKAGES)} into {_ENVIRONMENT} ...", highlight=False)
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *_PACKAGES]
        subprocess.run(pip, check=True)
    found: dict[str, Distribution] = {
        each.name.lower(): each
        for each in distributions(path=[str(p) for p in _ENVIRONMENT.glob("lib/*/site-packages")])
    }
    return found["octavia"].version


@contextmanager
def peer(database: URL, directory: Path) -> Iterator[Subject]:
    """The incumbent's API, on an empty database."""
    port = free_port()
    url = database.render_as_string(hide_password=False)
    # Where its programs look first: no argument has to pass through the server that runs it.
    config = directory / ".octavia/octavia.conf"
    config.parent.mkdir()
    config.write_text(_CONFIG.format(database=url))
    (directory / "gunicorn.conf.py").write_text(_SERVER.format(port=port))
    environment = {**os.environ, "HOME": str(directory), "PYTHONWARNINGS": "ignore"}
    programs = _ENVIRONMENT / "bin"
    subprocess.run(
        [programs / "octavia-db-manage", "--config-file", config, "upgrade", "head"],
        check=True,
        capture_output=True,
        env=environment,
    )
    command = [str(programs / "gunicorn")]
    log = directory / "peer.log"
    with started("the peer", command, port=port, database=database, log=log, cwd=directory, env=environment) as subject:
        yield subject
