"""A read-only network catalogue, for installations without a network service, and projects by name.

The standard client resolves the names of networks, subnets and ports at the network API (v2.0), and those of projects
at the identity API, which with `--os-auth-type none` are at our own address. We answer what it asks there, for the
networks that are ours; a project is whatever somebody says it is.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

import falcon
from msgspec import Struct

from livia.api import policy, query
from livia.api.objects import Api, send
from livia.core.drivers import Network, NetworkCatalogue, Port, QosPolicy, Subnet
from livia.services.context import Context, Refused

_ALIASES = ("/v2.0", "/v2")
#: what narrows nothing down
_NOT_FILTERS = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})


class _Listing(Struct, frozen=True):
    """One collection: its path, the keys of an item and of the list, and what there is.

    `owned`: a caller sees what belongs to its own project; otherwise everybody sees everything.
    """

    path: str
    item: str
    collection: str
    read: Callable[[], Iterable[dict[str, Any]]]
    owned: bool = False


class _Seen:
    """What a caller may see of a collection: who may list no load balancer needs no names. Raises the 403."""

    def __init__(self, api: Api, listing: _Listing) -> None:
        self._api = api
        self._listing = listing

    def seen(self, caller: Context) -> Iterable[dict[str, Any]]:
        everything = self._listing.read()
        if self._api.policy.allows(caller, policy.rule("loadbalancer", "get_all-global"), None):
            return everything
        self._api.enforce(caller, "loadbalancer", "get_all", caller.project_id)
        if not self._listing.owned:
            return everything
        return (each for each in everything if each["project_id"] == caller.project_id)


class _Objects(_Seen):
    """GET lists those whose attributes equal the query."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        wanted: dict[str, set[str]] = {}
        for name, value in query.parameters(request):
            if name not in _NOT_FILTERS:
                wanted.setdefault(name, set()).add(value)
        found = [each for each in self.seen(request.context.caller) if _matches(each, wanted)]
        fields = query.fields_of(request)
        send(response, {self._listing.collection: [query.only(each, fields) for each in found]})


class _Object(_Seen):
    """GET shows one."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        for each in self.seen(request.context.caller):
            if each["id"] == object_id:
                send(response, {self._listing.item: each})
                return
        raise Refused(404, f"{self._listing.item.capitalize()} {object_id} could not be found.")


class _Project:
    """GET shows a project: nobody keeps a list of them, and the name of each is its id."""

    def on_get(self, _request: falcon.Request, response: falcon.Response, project_id: str) -> None:
        send(response, {"project": {"id": project_id, "name": project_id, "domain_id": "default", "enabled": True}})


def add_routes(app: falcon.App[Any, Any], api: Api, networks: NetworkCatalogue) -> None:
    """Serve the catalogue below both spellings of the version."""
    listings = (
        _Listing("networks", "network", "networks", lambda: map(_network, networks.networks())),
        _Listing("subnets", "subnet", "subnets", lambda: map(_subnet, networks.subnets())),
        _Listing("ports", "port", "ports", lambda: map(_port, networks.ports()), owned=True),
        _Listing("qos/policies", "policy", "policies", lambda: map(_qos_policy, networks.qos_policies())),
        # Local networks have none; the client asks, and is told that there is none of that name.
        _Listing("security-groups", "security_group", "security_groups", list),
    )
    for listing in listings:
        for alias in _ALIASES:
            app.add_route(f"{alias}/{listing.path}", _Objects(api, listing))
            app.add_route(f"{alias}/{listing.path}/{{object_id}}", _Object(api, listing))
    app.add_route("/projects/{project_id}", _Project())


def _matches(entry: dict[str, Any], wanted: dict[str, set[str]]) -> bool:
    return all(str(entry.get(name)) in values for name, values in wanted.items())


def _owned(project_id: str | None) -> dict[str, Any]:
    return {"project_id": project_id or "", "tenant_id": project_id or "", "description": "", "tags": []}


def _network(network: Network) -> dict[str, Any]:
    return {
        "id": network.id,
        "name": network.name,
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": True,
        "router:external": False,
        "mtu": network.mtu,
        "port_security_enabled": network.port_security,
        "subnets": list(network.subnet_ids),
        **_owned(network.project_id),
    }


def _subnet(subnet: Subnet) -> dict[str, Any]:
    return {
        "id": subnet.id,
        "name": subnet.name,
        "network_id": subnet.network_id,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway,
        "ip_version": ip_network(subnet.cidr).version,
        "enable_dhcp": False,
        "dns_nameservers": [],
        "host_routes": [],
        "allocation_pools": [],
        **_owned(subnet.project_id),
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "id": port.id,
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac,
        "status": "ACTIVE",
        "admin_state_up": True,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "fixed_ips": [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in port.fixed_ips],
        "security_groups": [],
        **_owned(port.project_id),
    }


def _qos_policy(policy: QosPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "name": policy.name,
        "shared": True,
        "is_default": False,
        "rules": [
            {
                "type": "bandwidth_limit",
                "direction": str(limit.direction),
                "max_kbps": limit.kbps,
                "max_burst_kbps": limit.burst_kb,
            }
            for limit in policy.limits
        ],
        **_owned(None),
    }
