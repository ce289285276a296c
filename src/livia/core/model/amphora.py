"""Amphorae and the hosts they run on (contract 70; design, sections 1 and 8)."""

from enum import StrEnum

from msgspec import Struct

from livia.core.model.status import AmphoraStatus


class Role(StrEnum):
    STANDALONE = "STANDALONE"
    MASTER = "MASTER"
    BACKUP = "BACKUP"


class Amphora(Struct, frozen=True, kw_only=True):
    """One amphora row.

    `load_balancer_id` is None for one that belongs to none: such rows come from adopted databases. `compute_id` names
    the place (for the host driver: the amphora host), `lb_network_ip` is the address of the agent that builds it,
    `vrrp_ip` and `vrrp_port_id` are its own port on the VIP network.
    `applied_generation` is the last generation its agent confirmed. An amphora in ERROR, or with
    `replace_requested`, is to be replaced; so is one on a host that is being drained (`host_draining`).
    """

    id: str
    load_balancer_id: str | None
    role: Role
    status: AmphoraStatus
    compute_id: str | None = None
    lb_network_ip: str | None = None
    agent_port: int | None = None
    vrrp_ip: str | None = None
    vrrp_port_id: str | None = None
    vrrp_priority: int | None = None
    applied_generation: int = 0
    holds_vip: bool = False
    replace_requested: bool = False
    host_draining: bool = False


class AmphoraHost(Struct, frozen=True, kw_only=True):
    """A machine whose agent runs amphorae. `last_seen` in seconds of the database's clock.

    `placements` counts the amphorae that were ever placed there; who places one knows by it that nobody else did.
    `serving`: amphorae there that hold a VIP, or are to. `draining`: nothing is placed there, and what is there goes.
    """

    id: str
    address: str
    agent_port: int
    availability_zone: str | None = None
    capacity: int = 1000
    draining: bool = False
    last_seen: float = 0.0
    amphora_count: int = 0
    serving: int = 0
    placements: int = 0
