"""The pools of a single-call create: definitions, references by name, and their errors (contract 10, section 6.2)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from livia.core.rules.verdict import Refuse

#: keys that carry defaults and so do not make a definition out of a reference
_REFERENCE_KEYS = frozenset({"name", "admin_state_up", "tls_enabled"})


class Pools(Struct, frozen=True):
    """Every pool of the graph once, and for each place that can name one its index in them."""

    definitions: tuple[Mapping[str, Any], ...]
    named: tuple[int | None, ...]


def is_reference(pool: Mapping[str, Any]) -> bool:
    """`pool`: the keys that the request really has."""
    return set(pool) <= _REFERENCE_KEYS


def pools_of(top: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any] | None]) -> Pools | Refuse:
    """`top`: the load balancer's `pools`; `places`: each `default_pool` and `redirect_pool`. As requested."""
    inline = [pool for pool in places if pool is not None]
    if any(not pool.get("name") for pool in inline):
        return Refuse(400, "Validation failure: Pools must be named when creating a fully populated loadbalancer.")
    definitions = [*top, *(pool for pool in inline if not is_reference(pool))]
    names = Counter(pool["name"] for pool in definitions if pool.get("name"))
    if any(count > 1 for count in names.values()):
        return Refuse(
            400,
            "Validation failure: Pool names must be unique when creating a fully populated loadbalancer.",
        )
    for pool in definitions:
        for attribute in ("protocol", "lb_algorithm"):
            if pool.get(attribute) is None:
                name = pool.get("name") or ""
                return Refuse(
                    400,
                    f"Validation failure: Pool definition for '{name}' missing required attribute: {attribute}",
                )
    index = {pool["name"]: position for position, pool in enumerate(definitions) if pool.get("name")}
    for pool in inline:
        if pool["name"] not in index:
            return Refuse(
                400,
                f"Validation failure: Pool '{pool['name']}' was referenced but no full definition was found.",
            )
    return Pools(tuple(definitions), tuple(None if pool is None else index[pool["name"]] for pool in places))
