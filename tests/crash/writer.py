"""Clients that write at random: each its own part of load balancers that it shares with others of its tenant."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import Event, Thread
from typing import TypeAlias

from tests.crash import kinds, refusals, switching
from tests.crash.authorities import Authorities
from tests.crash.balancers import Balancers
from tests.crash.certificates import Certificates
from tests.crash.choices import Choices
from tests.crash.client import Connection, UndecidedError, pause
from tests.crash.kinds import Kind
from tests.crash.members import PORTS
from tests.crash.model import Balancer, World
from tests.crash.requests import Requests

_MOST_BALANCERS = 2
#: how often, against others, and what
_Deed: TypeAlias = tuple[int, Callable[[Balancer], None]]


class Writer:
    """One client. `number` tells its ports from those of others; `flavors`: ids to choose from;
    `certificates`: what TLS listeners may show; `authorities`: whom they may trust."""

    def __init__(
        self,
        world: World,
        api: Connection,
        operator: Connection,
        project: str,
        number: int,
        flavors: list[str],
        subnet_ids: Sequence[str],
        certificates: Certificates,
        authorities: Authorities,
        rng: random.Random,
    ) -> None:
        self.name = f"writer-{number}"
        self._thread = Thread(target=self._run, name=self.name, daemon=True)
        self._world = world
        self._api = api
        self._project = project
        self._number = number
        self._rng = rng
        self._certificates = certificates
        self._authorities = authorities
        self._stop = Event()
        #: what went wrong, if something did
        self.error: Exception | None = None
        self._choices = choices = Choices(rng, self.name, number, certificates.references, authorities)
        self._requests = requests = Requests(world, api, self.name, rng)
        self._kinds = [make(choices) for make in (*kinds.ALL, *switching.ALL)]
        self._balancers = Balancers(
            world,
            api,
            operator,
            requests,
            choices,
            owner=self.name,
            project=project,
            flavors=flavors,
            subnet_ids=subnet_ids,
        )

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while pause(self._rng, self._stop):
                self._write()
        except Exception as error:
            self.error = error

    def finish(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the last answer. Raises UndecidedError when it does not come in time."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise UndecidedError(f"{self.name} waits for an answer for more than {seconds:.0f} s")

    def _write(self) -> None:
        there = self._world.of(self._project)
        # The first client of a tenant makes its load balancers.
        if self._number % 2 and (not there or (len(there) < _MOST_BALANCERS and self._rng.random() < 0.1)):
            self._balancers.create()
            return
        if not there:
            return
        balancer = self._rng.choice(there)
        own = balancer.owner == self.name and self._rng.random() < 0.12
        weights, deeds = zip(*(self._with_balancers() if own else self._below_balancers()), strict=True)
        self._rng.choices(deeds, weights)[0](balancer)

    def _with_balancers(self) -> Iterator[_Deed]:
        yield 3, self._balancers.update
        yield 1, self._balancers.fail_over
        yield 1, self._balancers.delete

    def _below_balancers(self) -> Iterator[_Deed]:
        for kind in self._kinds:
            deeds = (self._create, self._update, self._delete)
            yield from ((weight, partial(deed, kind)) for weight, deed in zip(kind.weights, deeds, strict=True))
        yield 4, self._put_members
        yield 2, self._renew
        yield 4, partial(refusals.ask, self._api, self._choices)

    def _create(self, kind: Kind, balancer: Balancer) -> None:
        drawn = kind.new(balancer)
        if drawn is not None:
            self._requests.create(balancer, kind.name, *drawn)

    def _update(self, kind: Kind, balancer: Balancer) -> None:
        thing = self._choices.one(balancer, kind.name)
        values = None if thing is None else kind.other(balancer, thing)
        if thing is not None and values is not None:
            self._requests.update(balancer, thing, values)

    def _delete(self, kind: Kind, balancer: Balancer) -> None:
        thing = self._choices.one(balancer, kind.name)
        if thing is not None and kind.may_go(thing):
            self._requests.delete(balancer, thing)

    def _put_members(self, balancer: Balancer) -> None:
        pool = self._choices.one(balancer, "pool")
        if pool is not None:
            wanted = [self._choices.brief_member(port) for port in self._rng.sample(PORTS, self._rng.randint(1, 4))]
            self._requests.put_members(balancer, pool, wanted, additive=self._rng.random() < 0.3)

    def _renew(self, _balancer: Balancer) -> None:
        if self._rng.random() < 0.5:
            ended = self._authorities.renew(self._rng)
        else:
            ended = self._certificates.renew(self._rng.choice(self._certificates.references))
        self._api.diary.note(f"{self.name} replaces a secret: {ended}")
