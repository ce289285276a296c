"""A whole load balancer: what the worker reads at once and plans from."""

from msgspec import Struct

from livia.core.model.amphora import Amphora
from livia.core.model.listener import Listener
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.pool import Pool


class LoadBalancerTree(Struct, frozen=True, kw_only=True):
    load_balancer: LoadBalancer
    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    amphorae: tuple[Amphora, ...] = ()

    def pool(self, pool_id: str | None) -> Pool | None:
        """The pool with this id, or None."""
        return next((pool for pool in self.pools if pool.id == pool_id), None)
