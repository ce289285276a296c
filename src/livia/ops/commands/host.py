"""`livia host`: amphora hosts, added, emptied for maintenance and forgotten when they are lost."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_database
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.commands.parsing import Commands
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with hosts."""
    parser.set_defaults(run=_host)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    command(actions, "list", "show all hosts, what is left on drained ones, and what the loss of each would cost")
    _add_add(actions)
    for name, about in (
        ("drain", "place nothing there any more, and replace what is there, one amphora of a load balancer at a time"),
        ("undrain", "take it into service again; what has not left stays"),
        ("remove", "forget a host that is lost, or drained and ended; what was on it is replaced"),
    ):
        command(actions, name, about).add_argument("host", help="name, as in 'livia host list'")


def _add_add(actions: "Commands") -> None:
    add = command(actions, "add", "write the files with which amphora-agent makes a machine an amphora host")
    add.add_argument("host", help="its name, which nobody else has")
    add.add_argument("--address", required=True, metavar="IP", help="where controllers reach its agent")
    add.add_argument("--port", type=int, default=9443, help="its agent's TCP port (default: %(default)s)")
    add.add_argument("--zone", default="", help="its availability zone")
    add.add_argument("--capacity", type=int, default=1000, help="amphorae that it takes (default: %(default)s)")
    add.add_argument(
        "--controller",
        action="append",
        default=[],
        metavar="IP:PORT",
        help="where it reaches a health manager; may be given several times (default: [health_manager] bind_ip)",
    )
    add.add_argument(
        "--base-path",
        type=Path,
        default=Path("/var/lib/octavia"),
        metavar="DIRECTORY",
        help="what its agent keeps the amphorae in (default: %(default)s)",
    )
    add.add_argument(
        "--bridges-of",
        default="",
        metavar="DIRECTORY",
        help="on one machine: the agent whose bridges it uses; that of livia up is the directory agent of its state",
    )
    add.add_argument(
        "--to", type=Path, required=True, metavar="DIRECTORY", help="where the files are written and will be"
    )
    add.set_defaults(run=_add)


def _add(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import host_files
    from livia.pki.authority import AuthorityError
    from livia.services.hosts import HostError

    wanted = host_files.Wanted(
        name=options.host,
        address=options.address,
        port=options.port,
        zone=options.zone,
        capacity=options.capacity,
        controllers=tuple(options.controller),
        base_path=options.base_path,
        bridges_of=options.bridges_of,
    )
    try:
        conf = host_files.write(installation, wanted, options.to)
    except (HostError, AuthorityError) as error:
        return fail(str(error))
    print(f"{conf.parent} has all that {wanted.name} needs, its keys too: bring it to the same place there, and run")
    print(f"  amphora-agent --config-file {conf.absolute()}")
    print("'livia host list' shows the host as soon as it is heard.")
    return 0


def _host(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import hosts
    from livia.ops.tables import console
    from livia.services.hosts import HostError

    if lacking := without_database(installation):
        return fail(lacking)
    acts = {"drain": hosts.drain, "undrain": hosts.undrain, "remove": hosts.remove}
    try:
        if options.action == "list":
            hosts.show_all(installation, console())
        else:
            print(acts[options.action](installation, options.host))
    except HostError as error:
        return fail(str(error))
    return 0
