"""What an agent says: the answer to a PUT, and the heartbeat (contract 95, section 2)."""

from typing import Literal

from msgspec import Struct

#: message format of contract 95, section 2.1: counters are deltas since the last message; in earlier ones they are what
#: the data plane has counted since it was started
HEARTBEAT_VERSION = 3


class Applied(Struct, frozen=True, kw_only=True):
    """Answer to `PUT /v1/amphorae/{id}` and to `GET /v1/amphorae/{id}`.

    `holds_vip` is true when the VIP stands on this amphora's interface now. `forwarding` is true when its
    HAProxy answers on the statistics socket. `learned` is false while its HAProxy still learns from others of the
    load balancer which client belongs to which member.
    """

    amphora_id: str
    load_balancer_id: str
    generation: int
    digest: str
    fence: int
    holds_vip: bool
    forwarding: bool
    learned: bool = True
    haproxy_version: str = ""


class Held(Struct, frozen=True, kw_only=True):
    """One entry of the answer to `GET /v1/inventory`: an amphora that the agent runs, with the fence of its last
    change, or (not `known`) what else is on the host under an amphora's name."""

    amphora_id: str
    load_balancer_id: str | None = None
    fence: int = 0
    known: bool = True
    remains: tuple[str, ...] = ()


class Refused(Struct, frozen=True, kw_only=True):
    """Why an agent did not apply a spec, and what goes on running instead."""

    #: one of stale_fence, invalid_spec, haproxy_refused, plumbing_failed, not_found
    code: str
    message: str
    details: str = ""
    running_generation: int | None = None


class ListenerCounters(Struct, frozen=True, kw_only=True, gc=False):
    """Bytes and connections since the last message, or in earlier formats than ours since the data plane was started;
    `conns` is the number open now."""

    tx: int = 0
    rx: int = 0
    conns: int = 0
    totconns: int = 0
    ereq: int = 0


class ListenerTotals(Struct, frozen=True, kw_only=True, gc=False):
    """Bytes and connections of a listener on one amphora since the amphora was made: these only grow, so that a lost
    or repeated message loses or repeats nothing."""

    tx: int = 0
    rx: int = 0
    totconns: int = 0
    ereq: int = 0


class ListenerReport(Struct, frozen=True, kw_only=True, gc=False):
    status: Literal["OPEN", "FULL"]
    stats: ListenerCounters


class PoolReport(Struct, frozen=True, kw_only=True, gc=False):
    """`members`: member id to one of the texts of contract 95, e.g. `UP`, `DOWN 1/2`, `no check`."""

    status: Literal["UP", "DOWN"]
    members: dict[str, str] = {}


class HostFacts(Struct, frozen=True, kw_only=True, gc=False):
    """What an amphora host says of itself: enough to be registered and chosen (design, section 8)."""

    address: str
    agent_port: int
    capacity: int
    amphorae: int
    availability_zone: str | None = None


class Heartbeat(Struct, frozen=True, kw_only=True, gc=False):
    """One datagram's JSON. `boot` and `sent` defeat replays: within a boot, `seq` only grows; a new boot
    must have been sent later than anything heard before. All keys after `ver` but listeners and pools are ours."""

    id: str
    seq: int
    ver: int = HEARTBEAT_VERSION
    listeners: dict[str, ListenerReport] = {}
    pools: dict[str, PoolReport] = {}
    #: random, 16 hex characters, new at each start of the sender
    boot: str = ""
    #: seconds since the epoch by the sender's clock
    sent: float = 0.0
    #: the how-manieth of this boot that is sent to the same controller, from 1: a gap shows what was lost
    nth: int = 0
    generation: int = 0
    digest: str = ""
    holds_vip: bool = False
    #: of every listener reported, and for a while of those that are gone: what was counted last
    totals: dict[str, ListenerTotals] = {}
    #: set in the beat of an amphora host about itself; `id` is then the host's name and nothing else is set
    host: HostFacts | None = None
