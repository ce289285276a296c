"""All that one amphora shall do, and how it is told."""

import hashlib

import msgspec
from msgspec import Struct

from livia.core.spec.listener import ListenerSpec
from livia.core.spec.place import Interface, Peer, VipAddress, Vrrp
from livia.core.spec.pool import STICK_SIZE, PoolSpec

SPEC_VERSION = 1


class Spec(Struct, frozen=True, kw_only=True):
    """Complete: what is not in it is not there. Disabled and deleted objects are left out."""

    version: int = SPEC_VERSION
    amphora_id: str
    load_balancer_id: str
    project_id: str
    interfaces: tuple[Interface, ...]
    vips: tuple[VipAddress, ...]
    vrrp: Vrrp | None = None
    peers: tuple[Peer, ...] = ()
    listeners: tuple[ListenerSpec, ...] = ()
    pools: tuple[PoolSpec, ...] = ()
    #: entries of each stick table, as HAProxy writes it
    stick_size: str = STICK_SIZE


class Assignment(Struct, frozen=True, kw_only=True):
    """Body of `PUT /v1/amphorae/{id}`. The agent refuses a fence lower than one it has seen."""

    fence: int
    generation: int
    spec: Spec
    #: PEM by the name that the spec has for it
    material: dict[str, str] = {}

    def __repr__(self) -> str:
        # Tracebacks and logs show values: never keys.
        names = sorted(self.material)
        return f"Assignment(fence={self.fence}, generation={self.generation}, spec={self.spec!r}, material={names})"


def canonical(spec: Spec) -> bytes:
    """The JSON of a spec, the same for equal specs: in the order of the fields, as it also travels."""
    return msgspec.json.encode(spec, order="deterministic")


def digest(spec: Spec) -> str:
    """Of its canonical JSON (`digest_of`)."""
    return digest_of(canonical(spec))


def digest_of(text: bytes) -> str:
    """SHA-256 of a canonical JSON, 64 hex characters."""
    return hashlib.sha256(text).hexdigest()
