"""When an object may be changed (contract 00, section 14; design, section 5)."""

from livia.core.rules.verdict import Refuse

#: titles by which fault strings name objects (contract 00, section 6.3)
TITLES = {
    "load_balancer": "Load Balancer",
    "listener": "Listener",
    "pool": "Pool",
    "member": "Member",
    "health_monitor": "Health Monitor",
    "amphora": "Amphora",
    "flavor": "Flavor",
    "flavor_profile": "Flavor profile",
    "availability_zone": "Availability Zone",
    "availability_zone_profile": "Availability Zone Profile",
    "l7policy": "L7 Policy",
    "l7rule": "L7 Rule",
}


def not_found(kind: str, object_id: str | None) -> Refuse:
    """Absent, or DELETED."""
    return Refuse(404, f"{TITLES[kind]} {object_id} not found.")


def no_parent(kind: str, object_id: str) -> Refuse:
    """The parent that a path names is absent, or DELETED."""
    return Refuse(404, f"{_parent(kind)} {object_id} not found.")


def immutable(kind: str, object_id: str) -> Refuse:
    """A child cannot be changed while its parent cannot."""
    return Refuse(409, f"{_parent(kind)} {object_id} is immutable and cannot be updated.")


def _parent(kind: str) -> str:
    """As a parent a policy is written without a space (contract 00, section 14.3)."""
    return "L7Policy" if kind == "l7policy" else TITLES[kind]


def invalid_state(load_balancer_id: str, status: str) -> Refuse:
    """The load balancer itself cannot be changed in this status."""
    return Refuse(409, f"Invalid state {status} of loadbalancer resource {load_balancer_id}")


def has_children(load_balancer_id: str) -> Refuse:
    """DELETE without cascade."""
    return Refuse(400, f"Validation failure: Cannot delete Load Balancer {load_balancer_id} - it has children")


def quota_met(kind: str) -> Refuse:
    """The project has as many as it may."""
    return Refuse(403, f"Quota has been met for resources: {TITLES[kind]}")
