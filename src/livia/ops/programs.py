"""The programs that operators of OpenStack know, run from an octavia.conf (contract 90, section 0)."""

import argparse
import hashlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from msgspec.structs import replace
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from livia.core.clock import SystemClock
from livia.ops import files, logs
from livia.ops.octavia_conf import load
from livia.ops.settings import CONTRACT, Settings, SettingsError
from livia.ops.state import DEFAULT_STATE_DIRECTORY
from livia.pki.authority import AuthorityError
from livia.store import schema
from livia.store.engine import Database

if TYPE_CHECKING:
    from livia.ops.processes import Processes

#: exit status for "it could not be done, and a sentence said why"
FAILED = 1

_UNSIGNED = (
    "[certificates] ca_certificate: no effect without pki_directory. The certificates of agents are not renewed."
)

#: module of a database that may be missing, for Livia's own tables need none, to what gets it
_DRIVERS = {
    "pymysql": "Install it where Livia is: pip install pymysql",
    "psycopg": "Install it where Livia is: pip install 'psycopg[binary]'",
}
_ANY_DRIVER = "Livia uses mysql+pymysql:// and postgresql+psycopg://."

#: the body of a program; what it raises is told in a sentence
Body: TypeAlias = Callable[[Settings, argparse.Namespace], None]


class CannotRunError(Exception):
    """Why not, in a sentence for an operator."""


#: what ends a program with a sentence
REFUSALS = (CannotRunError, SettingsError, schema.SchemaError)


def api(arguments: Sequence[str] | None = None) -> int:
    """`octavia-api`."""
    return run(parser("octavia-api", "Answer the public API."), arguments, _api)


def worker(arguments: Sequence[str] | None = None) -> int:
    """`octavia-worker`."""
    return run(parser("octavia-worker", "Make load balancers as they were asked for."), arguments, _worker)


def health_manager(arguments: Sequence[str] | None = None) -> int:
    """`octavia-health-manager`."""
    return run(parser("octavia-health-manager", "Hear heartbeats, replace dead amphorae."), arguments, _health_manager)


def housekeeping(arguments: Sequence[str] | None = None) -> int:
    """`octavia-housekeeping`."""
    return run(
        parser(
            "octavia-housekeeping",
            "Purge, keep spares, renew certificates, remove what nobody owns, repair what differs.",
        ),
        arguments,
        _housekeeping,
    )


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """The options that every program has."""
    found = argparse.ArgumentParser(prog=program, description=description)
    found.add_argument("--version", action="version", version=f"{program} {version('livia')}")
    # Both in one list: what comes later wins.
    found.add_argument("--config-file", dest="files", type=_file, action="extend", metavar="FILE")
    found.add_argument("--config-dir", dest="files", type=_directory, action="extend", metavar="DIRECTORY")
    return found


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None, body: Body, *, database: bool = True) -> int:
    """Run a program; its exit status. `database`: it needs one."""
    options = parser.parse_args(arguments)
    read = settings_of if database else _configured
    try:
        body(read(parser.prog, options.files), options)
    except REFUSALS as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return FAILED
    return 0


def settings_of(program: str, given: Sequence[Path] | None) -> Settings:
    """Complete settings from the named files, or from those found; logs go where they say. Raises SettingsError."""
    settings = _configured(program, given)
    if not settings.database.connection:
        looked = ", ".join(map(str, _sources(program, given) or files.places(Path.home())))
        raise SettingsError(f"[database] connection is not set: it names the database. Looked in {looked}.")
    return _completed(settings)


def _configured(program: str, given: Sequence[Path] | None) -> Settings:
    settings, warnings = load(_sources(program, given), CONTRACT)
    _send_logs(program, settings)
    for warning in (*warnings, *_about_messages(settings)):
        print(f"{program}: {warning}", file=sys.stderr)
    return settings


def _sources(program: str, given: Sequence[Path] | None) -> Sequence[Path]:
    return files.found(program, files.places(Path.home())) if given is None else given


def database_of(settings: Settings) -> Database:
    """The database. Raises SettingsError for a URL that is none."""
    options = settings.database
    try:
        return Database(options.connection, pool_size=options.max_pool_size)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"[database] connection cannot be used: {error}. {_DRIVERS.get(error.name or '', _ANY_DRIVER)}"
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(f"[database] connection cannot be used: {error}") from error


def _completed(settings: Settings) -> Settings:
    """What octavia.conf leaves open and one machine's processes must agree on."""
    digest = hashlib.sha256(settings.database.connection.encode()).hexdigest()
    wake_socket = settings.livia.wake_socket or str(DEFAULT_STATE_DIRECTORY / f"wake-{digest[:16]}.sock")
    users = settings.access.http_basic_user_file or str(DEFAULT_STATE_DIRECTORY / "users")
    return replace(
        settings,
        access=replace(settings.access, http_basic_user_file=users),
        common=replace(settings.common, host=settings.common.host or socket.gethostname()),
        livia=replace(settings.livia, wake_socket=wake_socket),
    )


def api_process(program: str, settings: Settings) -> "Processes":
    """The API, once nothing is in its way; what is odd is told. Raises what `REFUSALS` has."""
    from livia.ops import access, drivers
    from livia.ops.processes import Processes

    require(drivers.problems(settings, ("network_driver", "amphora_driver", "cert_manager")))
    require(access.problems(settings))
    _check_schema(settings)
    for warning in (*access.open_without_authentication(settings), *drivers.about_secrets(settings)):
        print(f"{program}: {warning}", file=sys.stderr)
    return Processes(settings, _owner(settings))


def _api(settings: Settings, _options: argparse.Namespace) -> None:
    from livia.ops import preflight, serving

    require(preflight.taken_api_port(settings))
    process = api_process("octavia-api", settings)
    listen = settings.server
    print(f"octavia-api: http://{listen.bind_host}:{listen.bind_port}", file=sys.stderr, flush=True)
    with serving.listen(listen.bind_host, listen.bind_port) as listening:
        process.run_api(listening)


def _worker(settings: Settings, _options: argparse.Namespace) -> None:
    from livia.ops.processes import Processes

    _check_schema(settings)
    _make_directory(Path(settings.livia.wake_socket).parent)
    end_on_interrupt()
    Processes(settings, _owner(settings)).run_worker()


def _health_manager(settings: Settings, _options: argparse.Namespace) -> None:
    from livia.ops import preflight
    from livia.ops.processes import Processes

    if not settings.health.heartbeat_key:
        raise SettingsError("[health_manager] heartbeat_key is not set: amphorae sign their heartbeats with it.")
    require(preflight.taken_heartbeat_port(settings))
    _check_schema(settings)
    end_on_interrupt()
    Processes(settings, _owner(settings)).run_health()


def _housekeeping(settings: Settings, _options: argparse.Namespace) -> None:
    from livia.ops.housekeeping import usable_authority
    from livia.ops.processes import Processes

    if settings.certificates.pki_directory:
        try:
            usable_authority(settings, SystemClock())
        except AuthorityError as error:
            raise CannotRunError(str(error)) from error
    elif settings.certificates.ca_certificate:
        print(f"octavia-housekeeping: {_UNSIGNED}", file=sys.stderr)
    _check_schema(settings)
    end_on_interrupt()
    Processes(settings, _owner(settings)).run_house()


def _about_messages(settings: Settings) -> list[str]:
    scheme = settings.common.transport_url.partition(":")[0]
    if scheme in ("", "fake"):
        return []
    return [
        f"[DEFAULT] transport_url: nothing is sent over {scheme}. A worker on the API's machine hears of a change at "
        "once, one on another machine when it next looks, a second later at most."
    ]


def _owner(settings: Settings) -> str:
    """The name of this process among the holders of leases."""
    return f"{settings.common.host}:{os.getpid()}"


def require(problems: Sequence[str]) -> None:
    """Raise CannotRunError when there are any."""
    if problems:
        raise CannotRunError("\n".join(problems))


def _check_schema(settings: Settings) -> None:
    database = database_of(settings)
    try:
        schema.check(database)
    except SQLAlchemyError as error:
        raise CannotRunError(database.about(error)) from error
    finally:
        # Connections must not cross a fork.
        database.close()


def _make_directory(directory: Path) -> None:
    # Without it there are no hints, which the worker tells.
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def end_on_interrupt() -> None:
    """Ctrl-C ends a program as SIGTERM does."""
    signal.signal(signal.SIGINT, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))


def _send_logs(program: str, settings: Settings) -> None:
    common = settings.common
    stream: TextIO = sys.stderr
    if common.log_file or common.log_dir:
        path = Path(common.log_dir, common.log_file or f"{program}.log")
        try:
            stream = path.open("a", buffering=1)
        except OSError as error:
            raise SettingsError(f"[DEFAULT] log_file: {path} cannot be written: {error.strerror}.") from error
    logs.configure(stream, json=common.use_json, level=logs.level(debug=common.debug))


def _file(name: str) -> list[Path]:
    return [Path(name)]


def _directory(name: str) -> list[Path]:
    directory = Path(name)
    if not directory.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {name}")
    return files.in_directory(directory)
