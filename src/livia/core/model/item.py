"""What every object of the API has."""

from msgspec import Struct

from livia.core.model.status import Operating, Provisioning


class Item(Struct, frozen=True, kw_only=True):
    """`name` is empty for L7 rules, which have none; `generation`: the load balancer's, when it last changed."""

    id: str
    project_id: str
    name: str = ""
    admin_state_up: bool = True
    provisioning_status: Provisioning
    operating_status: Operating
    generation: int = 0
