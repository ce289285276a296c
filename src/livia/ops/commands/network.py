"""`livia network`: local networks, with ports and QoS policies for VIPs."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_database, without_livia
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with networks. Whatever is done, all that are there are shown afterwards."""
    parser.set_defaults(run=_network, show=_show_networks)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "show all networks").set_defaults(change=None)
    create = command(actions, "create", "a network with its subnets; this machine is their gateway")
    create.set_defaults(change=_create_network)
    create.add_argument("name", help="what it is to be called")
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
    delete = command(actions, "delete", "remove a network without ports")
    delete.set_defaults(change=_delete_network)
    delete.add_argument("name", help="name or id")
    _add_ports(command(actions, "port", "ports for VIPs (vip_port_id)"))
    _add_qos_policies(command(actions, "qos", "QoS policies for VIPs (vip_qos_policy_id)"))


def _add_ports(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(show=_show_ports)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "show all ports").set_defaults(change=None)
    create = command(actions, "create", "a port that outlives the load balancer it is given to")
    create.set_defaults(change=_create_port)
    create.add_argument("name", help="what it is to be called")
    create.add_argument("network", help="name or id")
    create.add_argument(
        "--address", action="append", default=[], help="several times (default: a free one of the first subnet)"
    )
    delete = command(actions, "delete", "remove a port that nothing uses")
    delete.set_defaults(change=_delete_port)
    delete.add_argument("name", help="name or id")


def _add_qos_policies(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(show=_show_qos_policies)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "show all policies").set_defaults(change=None)
    create = command(actions, "create", "limit the traffic of the VIPs that name the policy, each by itself")
    create.set_defaults(change=_create_qos_policy)
    create.add_argument("name", help="what it is to be called")
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
    delete = command(actions, "delete", "remove a policy that no VIP has")
    delete.set_defaults(change=_delete_qos_policy)
    delete.add_argument("name", help="name or id")


def _network(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops.network import NetworkError

    if lacking := without_livia(installation) or without_database(installation):
        return fail(lacking)
    try:
        if options.change is not None:
            options.change(installation, options)
    except NetworkError as error:
        return fail(str(error))
    options.show(installation)
    return 0


def _create_network(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import network

    network.create(installation, options.name, options.subnet, gateways=options.gateway, mtu=options.mtu)


def _delete_network(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import network

    network.delete(installation, options.name)


def _show_networks(installation: "Installation") -> None:
    from livia.ops import network
    from livia.ops.tables import console

    network.show_all(installation, console())


def _create_port(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import ports

    ports.create(installation, options.name, options.network, options.address)


def _delete_port(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import ports

    ports.delete(installation, options.name)


def _show_ports(installation: "Installation") -> None:
    from livia.ops import ports
    from livia.ops.tables import console

    ports.show_all(installation, console())


def _create_qos_policy(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import qos_policies

    qos_policies.create(
        installation, options.name, max_kbps=options.max_kbps, burst_kb=options.burst_kb, direction=options.direction
    )


def _delete_qos_policy(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import qos_policies

    qos_policies.delete(installation, options.name)


def _show_qos_policies(installation: "Installation") -> None:
    from livia.ops import qos_policies
    from livia.ops.tables import console

    qos_policies.show_all(installation, console())
