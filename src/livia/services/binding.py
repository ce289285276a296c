"""Key material for the worker: what was bound when it was named, and what has yet to be."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.drivers import DriverError, Seal, SealBroken, SecretStore, Unreachable
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.secret import Named
from livia.core.rules import references as rules
from livia.core.rules.certificates import Unusable
from livia.core.spec import Wanted
from livia.store import bindings
from livia.store.engine import Database

log = structlog.get_logger()

#: the code of the error for what no repetition makes better before somebody mends it
UNUSABLE = "material_unusable"


class Material:
    """The key material of load balancers. No text of it is in any error or log."""

    def __init__(self, database: Database, secrets: SecretStore, seal: Seal, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._seal = seal
        self._clock = clock

    def pems(self, load_balancer: LoadBalancer, wanted: Sequence[Wanted]) -> dict[Named, str]:
        """The PEM text of everything that is wanted. Asks the secret store only for what is not bound.

        Raises DriverError, with code `UNUSABLE` where the reference has to be mended, and `Unreachable`.
        """
        if not wanted:
            return {}
        with self._database.read() as connection:
            bound = bindings.every(connection, load_balancer.id)
        found: dict[Named, str] = {}
        for each in wanted:
            if each.named not in found:
                sealed = bound.get(each.named)
                pem = None if sealed is None else self._opened(load_balancer, each.named, sealed)
                found[each.named] = pem or self._read_and_bind(load_balancer, each, sealed)
        return found

    def _opened(self, load_balancer: LoadBalancer, named: Named, sealed: bytes) -> str | None:
        try:
            return self._seal.open(sealed, bindings.place(load_balancer.id, named)).decode()
        except SealBroken:
            # Sealed with a key that was since given up: the store has it still.
            log.warning("bound material not opened", load_balancer=load_balancer.id, reference=named.reference)
            return None

    def _read_and_bind(self, load_balancer: LoadBalancer, wanted: Wanted, seen: bytes | None) -> str:
        pem = self._read(load_balancer, wanted)
        sealed = self._seal.seal(pem.encode(), bindings.place(load_balancer.id, wanted.named))

        def bind(connection: Connection) -> None:
            bindings.put_if_same(connection, load_balancer.id, wanted.named, sealed, seen, self._clock.now())

        self._database.transaction(bind)
        log.info("material bound", load_balancer=load_balancer.id, reference=wanted.named.reference)
        return pem

    def _read(self, load_balancer: LoadBalancer, wanted: Wanted) -> str:
        says = f"{wanted.owner} names {wanted.named.reference} as its {wanted.named.use.value}"
        try:
            reading = rules.read(
                wanted.named.use, self._secrets.read(wanted.named.reference, load_balancer.project_id or None)
            )
        except Unreachable as error:
            raise Unreachable(f"{says}, and the secret store does not answer: {error.message}") from error
        except DriverError as error:
            raise DriverError(f"{says}, which {error.message}.", code=UNUSABLE) from error
        if isinstance(reading, Unusable):
            raise DriverError(f"{says}, which {reading.why}.", code=UNUSABLE)
        return rules.pem(reading)
