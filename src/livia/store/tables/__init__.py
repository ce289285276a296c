"""Every table. Names and columns are those of contract 98 where they mean the same thing.

What is ours: `generation` on every object (the generation of the load balancer it last changed at),
`load_balancer_id` on every child (a whole load balancer is one indexed select per table), `ordinal` on
children (creation order within one request), and the tables whose module says so. Statuses, protocols and the
like are checked by the model, not by look-up tables. `insert_headers` is JSON text.
"""

from livia.store.tables.amphorae import amphora, amphora_health, amphora_host, amphora_member_port, vrrp_group
from livia.store.tables.bookkeeping import event, idempotency, lease, work
from livia.store.tables.l7 import l7policy, l7rule
from livia.store.tables.listeners import listener, listener_cidr, listener_statistics, sni
from livia.store.tables.load_balancers import additional_vip, load_balancer, tags, vip, vip_security_group
from livia.store.tables.local_networks import local_address, local_network, local_port, local_qos_policy, local_subnet
from livia.store.tables.offers import (
    QUOTA_RESOURCES,
    availability_zone,
    availability_zone_profile,
    flavor,
    flavor_profile,
    quotas,
)
from livia.store.tables.orphans import orphan
from livia.store.tables.pools import health_monitor, member, pool, session_persistence
from livia.store.tables.registry import metadata
from livia.store.tables.secrets import bound_material, secret

__all__ = [
    "QUOTA_RESOURCES",
    "additional_vip",
    "amphora",
    "amphora_health",
    "amphora_host",
    "amphora_member_port",
    "availability_zone",
    "availability_zone_profile",
    "bound_material",
    "event",
    "flavor",
    "flavor_profile",
    "health_monitor",
    "idempotency",
    "l7policy",
    "l7rule",
    "lease",
    "listener",
    "listener_cidr",
    "listener_statistics",
    "load_balancer",
    "local_address",
    "local_network",
    "local_port",
    "local_qos_policy",
    "local_subnet",
    "member",
    "metadata",
    "orphan",
    "pool",
    "quotas",
    "secret",
    "session_persistence",
    "sni",
    "tags",
    "vip",
    "vip_security_group",
    "vrrp_group",
    "work",
]
