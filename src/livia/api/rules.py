"""Every policy rule and its default (contract 80, sections 3 and 4).

Checks are written in the policy language of oslo.policy. Operators override them by name: mostly a base rule, which
many operations share, now and then the rule of one operation.
"""

from collections.abc import Iterator

from msgspec import Struct

PREFIX = "os_load-balancer_api"

READ = "rule:load-balancer:read"
READ_GLOBAL = "rule:load-balancer:read-global"
WRITE = "rule:load-balancer:write"
ADMIN = "rule:load-balancer:admin"
READ_QUOTA = "rule:load-balancer:read-quota"
READ_QUOTA_GLOBAL = "rule:load-balancer:read-quota-global"
WRITE_QUOTA = "rule:load-balancer:write-quota"


class BaseRule(Struct, frozen=True, kw_only=True):
    """A rule that others refer to. `legacy` holds besides it with `enforce_new_defaults = False`."""

    name: str
    check: str
    about: str
    legacy: str | None = None


class OperationRule(Struct, frozen=True, kw_only=True):
    """The rule of one operation, for objects of a project. `path` is below /v2."""

    resource: str
    action: str
    check: str
    about: str
    method: str
    path: str

    @property
    def name(self) -> str:
        return name_of(self.resource, self.action)


def name_of(resource: str, action: str) -> str:
    """The name of an operation's rule; `resource` as in the item key of the wire."""
    return f"{PREFIX}:{resource}:{action}"


BASE = (
    BaseRule(
        name="context_is_admin",
        check="role:admin",
        legacy="role:admin or role:load-balancer_admin",
        about="Who is admin, of every project.",
    ),
    BaseRule(
        name="project-member",
        check="role:member and project_id:%(project_id)s",
        about="Who may write in a project.",
    ),
    BaseRule(
        name="project-reader",
        check="role:reader and project_id:%(project_id)s",
        about="Who may read in a project.",
    ),
    BaseRule(name="service", check="role:service", about="Other services of the cloud."),
    BaseRule(
        name="load-balancer:owner",
        check="project_id:%(project_id)s",
        about="Everybody in the project of the object.",
    ),
    BaseRule(
        name="load-balancer:admin",
        check="is_admin:True or role:admin",
        legacy="is_admin:True or role:admin or role:load-balancer_admin",
        about="Who may do everything, also what is for admins only.",
    ),
    BaseRule(
        name="load-balancer:global_observer",
        check="role:admin",
        legacy="role:load-balancer_global_observer",
        about="Who may read the objects of every project.",
    ),
    BaseRule(
        name="load-balancer:member_and_owner",
        check="rule:project-member",
        legacy="role:load-balancer_member and rule:load-balancer:owner",
        about="Who may write load balancers of a project.",
    ),
    BaseRule(
        name="load-balancer:observer_and_owner",
        check="rule:project-reader",
        legacy="role:load-balancer_observer and rule:load-balancer:owner",
        about="Who may read load balancers of a project.",
    ),
    BaseRule(
        name="load-balancer:quota-admin",
        check="role:admin",
        legacy="role:load-balancer_quota_admin",
        about="Who may read and set the quotas of every project.",
    ),
    BaseRule(
        name="load-balancer:read",
        check="rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:admin",
        about="Reading an object.",
    ),
    BaseRule(
        name="load-balancer:read-global",
        check="rule:load-balancer:global_observer or rule:load-balancer:admin",
        about="Listing objects of every project.",
    ),
    BaseRule(
        name="load-balancer:write",
        check="rule:load-balancer:member_and_owner or rule:load-balancer:admin",
        about="Creating, changing and deleting an object.",
    ),
    BaseRule(
        name="load-balancer:read-quota",
        check="rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        about="Reading a project's quota.",
    ),
    BaseRule(
        name="load-balancer:read-quota-global",
        check="rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        about="Listing the quotas of every project.",
    ),
    BaseRule(
        name="load-balancer:write-quota",
        check="rule:load-balancer:quota-admin or rule:load-balancer:admin",
        about="Setting a project's quota.",
    ),
)

_METHODS = {"get_all": "GET", "post": "POST", "get_one": "GET", "put": "PUT", "delete": "DELETE"}
_PHRASES = {
    "get_all": "List {}.",
    "get_all-global": "List {} of every project.",
    "post": "Create one of the {}.",
    "get_one": "Show one of the {}.",
    "put": "Change one of the {}.",
    "delete": "Delete one of the {}.",
}


def _common(
    resource: str, plural: str, path: str, *, read: str = READ, write: str = WRITE, every: str | None = None
) -> Iterator[OperationRule]:
    """List, show, create, change and delete; `every`: the rule of listing all projects'."""
    item = f"{path}/{{{resource.replace('-', '_')}_id}}"
    checks = {"get_all": read, "post": write, "get_one": read, "put": write, "delete": write}
    for action, method in _METHODS.items():
        yield OperationRule(
            resource=resource,
            action=action,
            check=checks[action],
            about=_PHRASES[action].format(plural),
            method=method,
            path=path if action in ("get_all", "post") else item,
        )
        if action == "get_all" and every is not None:
            about = _PHRASES["get_all-global"].format(plural)
            yield OperationRule(
                resource=resource, action="get_all-global", check=every, about=about, method="GET", path=path
            )


def _one(resource: str, action: str, check: str, about: str, operation: str) -> OperationRule:
    """A rule of its own; `operation`: method and path."""
    method, path = operation.split()
    return OperationRule(resource=resource, action=action, check=check, about=about, method=method, path=path)


_LB = "/lbaas/loadbalancers"
_MEMBERS = "/lbaas/pools/{pool_id}/members"
_QUOTA = "/lbaas/quotas/{project_id}"
_AMPHORA = "/octavia/amphorae/{amphora_id}"

OPERATIONS = (
    *_common("loadbalancer", "load balancers", _LB, every=READ_GLOBAL),
    _one("loadbalancer", "post:vip_sg_ids", WRITE, "Create a load balancer with vip_sg_ids.", f"POST {_LB}"),
    _one(
        "loadbalancer",
        "put:vip_sg_ids",
        WRITE,
        "Change vip_sg_ids of a load balancer.",
        f"PUT {_LB}/{{loadbalancer_id}}",
    ),
    _one("loadbalancer", "get_stats", READ, "Show statistics.", f"GET {_LB}/{{loadbalancer_id}}/stats"),
    _one("loadbalancer", "get_status", READ, "Show the status tree.", f"GET {_LB}/{{loadbalancer_id}}/status"),
    _one("loadbalancer", "put_failover", ADMIN, "Fail over.", f"PUT {_LB}/{{loadbalancer_id}}/failover"),
    *_common("listener", "listeners", "/lbaas/listeners", every=READ_GLOBAL),
    _one("listener", "get_stats", READ, "Show statistics.", "GET /lbaas/listeners/{listener_id}/stats"),
    *_common("pool", "pools", "/lbaas/pools", every=READ_GLOBAL),
    _one("member", "get_all", f"{READ} or rule:service", "List members of a pool.", f"GET {_MEMBERS}"),
    *(each for each in _common("member", "members", _MEMBERS) if each.action != "get_all"),
    *_common("healthmonitor", "health monitors", "/lbaas/healthmonitors", every=READ_GLOBAL),
    *_common("l7policy", "L7 policies", "/lbaas/l7policies", every=READ_GLOBAL),
    *_common("l7rule", "rules of an L7 policy", "/lbaas/l7policies/{l7policy_id}/rules"),
    _one("quota", "get_all", READ_QUOTA, "List quotas.", "GET /lbaas/quotas"),
    _one("quota", "get_all-global", READ_QUOTA_GLOBAL, "List quotas of every project.", "GET /lbaas/quotas"),
    _one("quota", "get_one", READ_QUOTA, "Show a project's quota.", f"GET {_QUOTA}"),
    _one("quota", "put", WRITE_QUOTA, "Set a project's quota.", f"PUT {_QUOTA}"),
    _one("quota", "delete", WRITE_QUOTA, "Set a project's quota back to the default.", f"DELETE {_QUOTA}"),
    _one("quota", "get_defaults", READ_QUOTA, "Show the default quota.", f"GET {_QUOTA}/default"),
    _one("amphora", "get_all", ADMIN, "List amphorae.", "GET /octavia/amphorae"),
    _one("amphora", "get_one", ADMIN, "Show an amphora.", f"GET {_AMPHORA}"),
    _one("amphora", "delete", ADMIN, "Delete an amphora.", f"DELETE {_AMPHORA}"),
    _one("amphora", "put_config", ADMIN, "Renew an amphora agent's configuration.", f"PUT {_AMPHORA}/config"),
    _one("amphora", "put_failover", ADMIN, "Fail an amphora over.", f"PUT {_AMPHORA}/failover"),
    _one("amphora", "get_stats", ADMIN, "Show an amphora's statistics.", f"GET {_AMPHORA}/stats"),
    _one("provider", "get_all", READ, "List providers.", "GET /lbaas/providers"),
    _one(
        "provider-flavor",
        "get_all",
        ADMIN,
        "List what a provider's flavors may contain.",
        "GET /lbaas/providers/{provider}/flavor_capabilities",
    ),
    _one(
        "provider-availability-zone",
        "get_all",
        ADMIN,
        "List what a provider's availability zones may contain.",
        "GET /lbaas/providers/{provider}/availability_zone_capabilities",
    ),
    *_common("flavor", "flavors", "/lbaas/flavors", write=ADMIN),
    *_common("flavor-profile", "flavor profiles", "/lbaas/flavorprofiles", read=ADMIN, write=ADMIN),
    *_common("availability-zone", "availability zones", "/lbaas/availabilityzones", write=ADMIN),
    *_common(
        "availability-zone-profile",
        "availability zone profiles",
        "/lbaas/availabilityzoneprofiles",
        read=ADMIN,
        write=ADMIN,
    ),
)
