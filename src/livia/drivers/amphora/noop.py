"""Amphorae that confirm every spec at once: for tests and benchmarks of everything above them."""

from threading import Lock

from livia.core.drivers import DriverError, Placement
from livia.core.report import Applied
from livia.core.spec import Assignment, digest


class NoopAmphorae:
    """An AmphoraDriver that remembers what it was told, fences included."""

    def __init__(self) -> None:
        self._applied: dict[str, Applied] = {}
        self._lock = Lock()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        spec = assignment.spec
        with self._lock:
            before = self._applied.get(spec.amphora_id)
            if before is not None and before.fence > assignment.fence:
                raise DriverError(
                    f"Fence {assignment.fence} is older than {before.fence}.", code="stale_fence", status=409
                )
            applied = Applied(
                amphora_id=spec.amphora_id,
                load_balancer_id=spec.load_balancer_id,
                generation=assignment.generation,
                digest=digest(spec),
                fence=assignment.fence,
                holds_vip=spec.vrrp is None or spec.vrrp.priority == 254,
                forwarding=True,
            )
            self._applied[spec.amphora_id] = applied
            return applied

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        return self._applied.get(amphora_id)

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        with self._lock:
            self._applied.pop(amphora_id, None)

    def present(self) -> frozenset[str]:
        """Ids of the amphorae that exist."""
        return frozenset(self._applied)
