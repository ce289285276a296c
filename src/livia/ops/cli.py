"""The `livia` command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from livia.ops.settings import SettingsError, load
from livia.ops.state import DEFAULT_STATE_DIRECTORY, State

if TYPE_CHECKING:
    from livia.ops.services import Installation

#: exit status for "it could not be done, and a sentence said why"
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings, warnings = load(options.config_file)
    except SettingsError as error:
        return _fail(str(error))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    # Imported only now: `livia --help` and a mistyped command answer at once.
    from livia.ops.services import Installation

    installation = Installation(State(options.state_directory), settings)
    status: int = options.run(installation, options)
    return status


def _up(installation: "Installation", _options: argparse.Namespace) -> int:
    from livia.ops import up

    try:
        up.up(installation)
    except up.CannotStartError as error:
        return _fail(str(error))
    return 0


def _down(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import down

    try:
        down.down(installation, purge=options.purge)
    except down.StillRunningError as error:
        return _fail(str(error))
    return 0


def _known(installation: "Installation") -> bool:
    """Whether there is a database: one that is named, or that of a `livia up`."""
    return bool(installation.settings.database.connection) or installation.state.exists()


def _nothing_in(installation: "Installation") -> int:
    return _fail(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")


def _status(installation: "Installation", _options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.ops import status

    if not _known(installation):
        return _nothing_in(installation)
    return 0 if status.show(installation, Console()) else _FAILED


def _retry(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.services.context import Refused
    from livia.services.retry import retry

    if not _known(installation):
        return _nothing_in(installation)
    try:
        print(retry(installation.database(), installation.clock, options.id))
    except Refused as error:
        return _fail(error.text)
    return 0


def _canary(installation: "Installation", options: argparse.Namespace) -> int:
    import logging

    from livia.ops import logs
    from livia.ops.canary import service
    from livia.ops.processes import stopped_by_signal

    if not _known(installation):
        return _nothing_in(installation)
    # What is printed says how it goes.
    logs.configure(json=False, level=logging.WARNING)

    def said(line: str) -> None:
        print(line, flush=True)

    try:
        if options.every is not None:
            service.stay(installation, options.every, stopped_by_signal(), said)
            return 0
        return 0 if service.once(installation, said) else _FAILED
    except service.CanaryError as error:
        return _fail(str(error))


def _demo(installation: "Installation", _options: argparse.Namespace) -> int:
    from livia.ops.demo.play import play

    if installation.settings.access.auth_strategy != "noauth":
        return _fail("The demo has no password: it needs [api_settings] auth_strategy = noauth.")
    return play(installation)


def _host(installation: "Installation", options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.ops import hosts
    from livia.services.hosts import HostError

    if not _known(installation):
        return _nothing_in(installation)
    acts = {"drain": hosts.drain, "undrain": hosts.undrain, "remove": hosts.remove}
    try:
        if options.action == "list":
            hosts.show_all(installation, Console())
        else:
            print(acts[options.action](installation, options.host))
    except HostError as error:
        return _fail(str(error))
    return 0


def _network(installation: "Installation", options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.ops import network, ports, qos_policies

    if not installation.state.exists():
        return _fail(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")
    try:
        if options.action == "create":
            network.create(installation, options.name, options.subnet, gateways=options.gateway, mtu=options.mtu)
        elif options.action == "delete":
            network.delete(installation, options.name)
        elif options.action == "port create":
            ports.create(installation, options.name, options.network, options.address)
        elif options.action == "port delete":
            ports.delete(installation, options.name)
        elif options.action == "qos create":
            qos_policies.create(
                installation,
                options.name,
                max_kbps=options.max_kbps,
                burst_kb=options.burst_kb,
                direction=options.direction,
            )
        elif options.action == "qos delete":
            qos_policies.delete(installation, options.name)
    except network.NetworkError as error:
        return _fail(str(error))
    shown = {"port": ports.show_all, "qos": qos_policies.show_all}.get(options.action.split()[0], network.show_all)
    shown(installation, Console())
    return 0


def _secret(installation: "Installation", options: argparse.Namespace) -> int:
    from getpass import getpass

    from livia.ops import secrets

    try:
        if options.action == "list":
            secrets.show_all(installation)
        elif options.action == "show":
            secrets.show(installation, options.secret)
        elif options.action == "delete":
            secrets.delete(installation, options.secret, force=options.force)
        else:
            files = secrets.Files(**{name: getattr(options, name) for name in secrets.Files.__struct_fields__})
            ask = (lambda: getpass("Passphrase: ")) if sys.stdin.isatty() else None
            if options.action == "replace":
                replaced = secrets.replace_material(
                    installation, options.secret, files, passphrase=options.passphrase, ask=ask
                )
                said, notes = f"{replaced.reference}: {_users(replaced.load_balancers)}", replaced.notes
            else:
                created = secrets.create(
                    installation,
                    files,
                    name=options.name,
                    project_id=options.project,
                    passphrase=options.passphrase,
                    ask=ask,
                )
                said, notes = created.reference, created.notes
            print(said)
            for note in notes:
                print(f"warning: {note}", file=sys.stderr)
    except secrets.SecretError as error:
        return _fail(str(error))
    return 0


def _users(load_balancers: int) -> str:
    if not load_balancers:
        return "replaced; no load balancer uses it."
    many = "1 load balancer" if load_balancers == 1 else f"{load_balancers} load balancers"
    return f"replaced; {many} will use it from now on."


def _ca(installation: "Installation", options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.ops import ca
    from livia.pki.authority import AuthorityError

    if not installation.state.exists():
        return _fail(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")
    try:
        if options.action == "rotate":
            print("\n".join(ca.rotate(installation)))
        ca.show(installation, Console())
    except (AuthorityError, OSError) as error:
        return _fail(str(error))
    return 0


def _orphans(installation: "Installation", _options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.ops import orphans

    if not installation.state.exists():
        return _fail(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")
    orphans.show(installation, Console())
    return 0


def _user(installation: "Installation", options: argparse.Namespace) -> int:
    from rich.console import Console

    from livia.api.users import UserFileError
    from livia.ops import users

    try:
        if options.action == "add":
            users.add(installation, options.name, project_id=options.project, roles=options.role)
        elif options.action == "remove":
            users.remove(installation, options.name)
        users.show_all(installation, Console())
    except UserFileError as error:
        return _fail(str(error))
    return 0


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livia", description="Load balancing as a service.")
    parser.add_argument(
        "--state-directory",
        type=Path,
        default=DEFAULT_STATE_DIRECTORY,
        metavar="DIRECTORY",
        help="where everything is kept (default: %(default)s)",
    )
    parser.add_argument(
        "--config-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="an octavia.conf; may be given several times",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start everything and stay")
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="end the services, remove namespaces, bridges and processes")
    down.add_argument("--purge", action="store_true", help="remove the state directory too")
    down.set_defaults(run=_down)
    status = commands.add_parser("status", help="services, hosts, load balancers, amphorae")
    status.set_defaults(run=_status)
    again = commands.add_parser("retry", help="try now what is not done yet, instead of after a pause")
    again.add_argument("id", help="of a load balancer, of anything that belongs to one, or of an amphora")
    again.set_defaults(run=_retry)
    canary = commands.add_parser(
        "canary", help="create, use, fail over and delete a load balancer in a project of its own, and say how it went"
    )
    canary.add_argument(
        "--every", type=float, metavar="SECONDS", help="stay, and do so again and again, with metrics of it"
    )
    canary.set_defaults(run=_canary)
    orphans = commands.add_parser("orphans", help="ports, amphorae and rests of them that nobody owns")
    orphans.set_defaults(run=_orphans)
    demo = commands.add_parser("demo", help="make a load balancer, break it, change it, and show what clients see")
    demo.set_defaults(run=_demo)
    _add_host_commands(commands.add_parser("host", help="amphora hosts: emptied for maintenance, forgotten when lost"))
    _add_network_commands(commands.add_parser("network", help="local networks"))
    _add_secret_commands(commands.add_parser("secret", help="certificates and keys that listeners and pools name"))
    _add_ca_commands(commands.add_parser("ca", help="the authorities by which agents and controllers know each other"))
    _add_user_commands(commands.add_parser("user", help="who may log in with auth_strategy = http_basic"))
    return parser


def _add_ca_commands(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_ca)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser("show", help="show authorities and certificates, and when they end")
    actions.add_parser("rotate", help="have new authorities take the place of the present ones, without interruption")


def _add_host_commands(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_host)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser(
        "list", help="show all hosts, what is left on drained ones, and what the loss of each would cost"
    )
    for name, about in (
        ("drain", "place nothing there any more, and replace what is there, one amphora of a load balancer at a time"),
        ("undrain", "take it into service again; what has not left stays"),
        ("remove", "forget a host that is lost, or drained and ended; what was on it is replaced"),
    ):
        actions.add_parser(name, help=about).add_argument("host", help="name, as in 'livia host list'")


def _add_user_commands(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_user)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser("list", help="show all users")
    add = actions.add_parser("add", help="add a user or change one; the password is asked for, or read from stdin")
    add.add_argument("name")
    add.add_argument("--project", default="default", help="id of the user's project (default: %(default)s)")
    add.add_argument(
        "--role",
        action="append",
        default=[],
        help="admin, member, reader …; several times (default: member and reader)",
    )
    remove = actions.add_parser("remove", help="remove a user")
    remove.add_argument("name")


def _add_secret_commands(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_secret)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser("list", help="show all secrets, until when they hold, and who uses them")
    create = actions.add_parser(
        "create", help="keep a certificate, a CA bundle or a revocation list; print its reference"
    )
    _add_material(create)
    create.add_argument("--name", default="", help="what people call it")
    create.add_argument("--project", metavar="ID", help="only this project may use it (default: every project)")
    renew = actions.add_parser("replace", help="renew: keep other material under a reference, for whatever uses it")
    renew.add_argument("secret", help="reference, id or name")
    _add_material(renew)
    for name, about in (("show", "everything about a secret but its key"), ("delete", "forget a secret")):
        action = actions.add_parser(name, help=about)
        action.add_argument("secret", help="reference, id or name")
    action.add_argument("--force", action="store_true", help="also while listeners or pools use it")


def _add_material(parser: argparse.ArgumentParser) -> None:
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--certificate", type=Path, metavar="FILE", help="PEM; its key and intermediates may follow in it"
    )
    kind.add_argument("--pkcs12", type=Path, metavar="FILE", help="a certificate, its key and intermediates in one")
    kind.add_argument(
        "--file", type=Path, dest="bundle", metavar="FILE", help="PEM: CA certificates, or certificate revocation lists"
    )
    parser.add_argument("--private-key", type=Path, metavar="FILE", help="PEM")
    parser.add_argument("--intermediates", type=Path, metavar="FILE", help="PEM")
    parser.add_argument("--passphrase", help="of the key or the PKCS12 bundle; asked for if left out")


def _add_network_commands(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_network)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser("list", help="show all networks")
    create = actions.add_parser("create", help="a network with its subnets; this machine is their gateway")
    create.add_argument("name")
    create.add_argument(
        "subnet", nargs="+", metavar="CIDR", help="e.g. 10.77.0.0/24, or 10.77.0.0/24 fd00:77::/64 for both IP versions"
    )
    create.add_argument(
        "--gateway",
        action="append",
        default=[],
        help="this machine's address on a subnet; once for each (default: the first address)",
    )
    create.add_argument("--mtu", type=int, default=1500, help="largest packet, bytes (default: %(default)s)")
    delete = actions.add_parser("delete", help="remove a network without ports")
    delete.add_argument("name", help="name or id")
    _add_port_commands(actions.add_parser("port", help="ports for VIPs (vip_port_id)"))
    _add_qos_commands(actions.add_parser("qos", help="QoS policies for VIPs (vip_qos_policy_id)"))


def _add_port_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="show all ports").set_defaults(action="port list")
    create = actions.add_parser("create", help="a port that outlives the load balancer it is given to")
    create.set_defaults(action="port create")
    create.add_argument("name")
    create.add_argument("network", help="name or id")
    create.add_argument(
        "--address", action="append", default=[], help="several times (default: a free one of the first subnet)"
    )
    delete = actions.add_parser("delete", help="remove a port that nothing uses")
    delete.set_defaults(action="port delete")
    delete.add_argument("name", help="name or id")


def _add_qos_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="show all policies").set_defaults(action="qos list")
    create = actions.add_parser("create", help="limit the traffic of the VIPs that name the policy, each by itself")
    create.set_defaults(action="qos create")
    create.add_argument("name")
    create.add_argument("--max-kbps", type=int, required=True, metavar="N", help="kilobits per second")
    create.add_argument(
        "--burst-kb", type=int, default=0, metavar="N", help="kilobits that may go at once (default: those of 0.8 s)"
    )
    create.add_argument(
        "--direction",
        choices=("egress", "ingress", "both"),
        default="egress",
        help="egress: what VIPs send; ingress: what is sent to them (default: %(default)s)",
    )
    delete = actions.add_parser("delete", help="remove a policy that no VIP has")
    delete.set_defaults(action="qos delete")
    delete.add_argument("name", help="name or id")


if __name__ == "__main__":
    sys.exit(main())
