"""Statuses, as the API names them (contract 00, section 14; contract 70, section 3)."""

from enum import StrEnum


class Provisioning(StrEnum):
    """Whether the configuration of an object has reached the data plane."""

    ACTIVE = "ACTIVE"
    PENDING_CREATE = "PENDING_CREATE"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETE = "PENDING_DELETE"
    ERROR = "ERROR"
    DELETED = "DELETED"


PENDING = frozenset({Provisioning.PENDING_CREATE, Provisioning.PENDING_UPDATE, Provisioning.PENDING_DELETE})


class Operating(StrEnum):
    """What the data plane observes of an object."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    DRAINING = "DRAINING"
    NO_MONITOR = "NO_MONITOR"


class AmphoraStatus(StrEnum):
    """Life of an amphora row. READY and PENDING_UPDATE are found in adopted databases only."""

    PENDING_CREATE = "PENDING_CREATE"
    BOOTING = "BOOTING"
    READY = "READY"
    ALLOCATED = "ALLOCATED"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETE = "PENDING_DELETE"
    ERROR = "ERROR"
    FAILOVER_STOPPED = "FAILOVER_STOPPED"
    DELETED = "DELETED"
