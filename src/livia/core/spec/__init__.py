"""The amphora spec: all that one amphora shall do, typed and versioned (design, section 1).

The worker builds it from the model (`build`), the agent makes it so. It travels as JSON inside an
`Assignment`; equal specs have equal digests, whatever their generation and fence.
"""

from livia.core.spec.assignment import SPEC_VERSION, Assignment, Spec, canonical, digest, digest_of
from livia.core.spec.build import PRIORITY, build
from livia.core.spec.listener import ListenerSpec, PolicySpec, RuleSpec
from livia.core.spec.material import CONTRACT_TLS, Offer, TlsDefaults, Wanted, named_in, wanted, with_tls
from livia.core.spec.place import (
    BandwidthLimit,
    Direction,
    Interface,
    InterfaceAddress,
    Peer,
    Plug,
    Route,
    VipAddress,
    Vrrp,
)
from livia.core.spec.pool import STICK_SIZE, MemberSpec, MonitorSpec, PersistenceSpec, PoolSpec, is_stick_size
from livia.core.spec.tls import HstsSpec, MemberTlsSpec, TerminationSpec, name_of

__all__ = [
    "CONTRACT_TLS",
    "PRIORITY",
    "SPEC_VERSION",
    "STICK_SIZE",
    "Assignment",
    "BandwidthLimit",
    "Direction",
    "HstsSpec",
    "Interface",
    "InterfaceAddress",
    "ListenerSpec",
    "MemberSpec",
    "MemberTlsSpec",
    "MonitorSpec",
    "Offer",
    "Peer",
    "PersistenceSpec",
    "Plug",
    "PolicySpec",
    "PoolSpec",
    "Route",
    "RuleSpec",
    "Spec",
    "TerminationSpec",
    "TlsDefaults",
    "VipAddress",
    "Vrrp",
    "Wanted",
    "build",
    "canonical",
    "digest",
    "digest_of",
    "is_stick_size",
    "name_of",
    "named_in",
    "wanted",
    "with_tls",
]
