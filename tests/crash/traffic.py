"""Whether load balancers serve exactly what their configuration says: compared with the model by real requests."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.crash.asking import CLAIMED, Seen, ask, connects, datagram, metrics
from tests.crash.authorities import TLS_HEADERS, Authorities
from tests.crash.certificates import Certificates
from tests.crash.encryption import Encryption
from tests.crash.kinds import INSERTED
from tests.crash.model import Balancer, Thing, World
from tests.crash.prediction import (
    HTTP,
    Expected,
    Request,
    expected,
    inserted,
    listening,
    requests,
    strict_transport_security,
)
from tests.crash.sessions import AGAIN, Sessions, unlike

#: requests until each member has answered one
_ASKS = 60
#: clients that ask at once where some of them wait for a member that takes no connection
_TOGETHER = 10


class Traffic:
    """Clients of one machine. `ports`: where listeners of tenants can be."""

    def __init__(self, world: World, certificates: Certificates, authorities: Authorities, ports: list[int]) -> None:
        self._world = world
        self._authorities = authorities
        self._ports = ports
        #: what was compared, and how often
        self.compared: Counter[str] = Counter()
        self._sessions = Sessions(self.compared)
        self._encryption = Encryption(certificates, authorities, self.compared)
        #: pools whose clients stay where they are, to who answered first in this look
        self._homes: dict[str, str | None] = {}

    def problems(self) -> Iterator[str]:
        """Whatever is answered otherwise than promised."""
        self._homes.clear()
        for balancer in list(self._world.balancers.values()):
            there = [thing for thing in balancer.of("listener") if listening(balancer, thing)]
            yield from self._beside(balancer, there)
            for thing in there:
                title = f"{thing.values['protocol']} listener {thing.id} at {balancer.vip}"
                for problem in self._listener(balancer, thing):
                    yield f"{title}:{thing.values['protocol_port']} {problem}"

    def _beside(self, balancer: Balancer, listeners: list[Thing]) -> Iterator[str]:
        used = {(thing.values["protocol"] == "UDP", thing.values["protocol_port"]) for thing in listeners}
        for port in self._ports:
            if (False, port) not in used and connects(balancer.vip, port):
                yield f"{balancer.vip}:{port} takes connections, and no listener is there"
            if (True, port) not in used and datagram(balancer.vip, port) is not None:
                yield f"{balancer.vip}:{port} answers datagrams, and no listener is there"

    def _listener(self, balancer: Balancer, listener: Thing) -> Iterator[str]:
        if listener.values["protocol"] == "PROMETHEUS":
            self.compared["scrapes"] += 1
            yield from _metrics(balancer, listener)
            return
        if listener.values["protocol"] == "TERMINATED_HTTPS":
            yield from self._encryption.problems(balancer.vip, listener)
        known: set[str | None] = set()
        for request in requests(balancer, listener, self._clients(listener)):
            want = expected(balancer, listener, request)
            # Who takes part in a pool is looked at once; other requests need only get to one of them.
            brief = want.pool_id in known
            if brief and want.pool_id is not None and not want.members:
                # A member that takes no connection has each client wait for three seconds.
                continue
            known.add(want.pool_id)
            for problem in self._request(balancer, listener, request, want, brief=brief):
                yield f"{request}: {problem}"

    # -- answers -------------------------------------------------------------------------------------------------

    def _request(
        self, balancer: Balancer, listener: Thing, request: Request, want: Expected, *, brief: bool
    ) -> Iterator[str]:
        """Ask until everything wanted was seen; tell what was seen and not wanted, or not seen."""
        seen: list[Seen] = []
        self.compared["requests"] += 1
        self.compared["requests that several policies want"] += want.wanting > 1
        ask_once = partial(ask, balancer.vip, listener, request, self._authorities.context(request.client))
        for answer in _answers(ask_once, want, 1 if brief else _ASKS):
            seen.append(answer)
            problem = unlike(answer, want) or self._told_otherwise(listener, request, answer)
            if problem is not None:
                yield problem
                return
            if self._enough(seen, want):
                break
        who = {answer.who for answer in seen}
        if want.all_of and not brief and who - {None} != want.members:
            yield f"only {who} answered, wanted {want}"
        if want.same and want.pool_id is not None:
            home = self._homes.setdefault(want.pool_id, seen[0].who)
            if who != {home}:
                yield f"one client was answered by {[answer.who for answer in seen]}, and before by {home}: {want}"
        if not brief:
            yield from self._sessions.problems(balancer, listener.id, want, seen, ask_once)

    @staticmethod
    def _enough(seen: list[Seen], want: Expected) -> bool:
        if not want.members:
            return True
        if want.same:
            return len(seen) >= AGAIN
        who = {answer.who for answer in seen} - {None}
        return who == want.members or (bool(who) and not want.all_of)

    def _told_otherwise(self, listener: Thing, request: Request, answer: Seen) -> str | None:
        """What the client, or the member about the client, was told that is not what it should be."""
        if listener.values["protocol"] not in HTTP:
            return None if answer.who is None or not answer.told else _unlike_told(answer, CLAIMED)
        strict = strict_transport_security(listener)
        if _directives(answer.strict) != _directives(strict):
            return f"told Strict-Transport-Security: {answer.strict}, wanted {strict}"
        return None if answer.who is None else _unlike_told(answer, self._wanted_headers(listener, request, answer))

    def _wanted_headers(self, listener: Thing, request: Request, answer: Seen) -> Mapping[str, str]:
        values = {
            **dict.fromkeys(("X-Forwarded-For", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"), answer.source),
            "X-Forwarded-Port": str(listener.values["protocol_port"]),
            "X-Forwarded-Proto": "https" if request.encrypted else "http",
            **self._authorities.told(request.client),
        }
        return {**CLAIMED, **{name: values[name] for name in inserted(listener)}}

    def _clients(self, listener: Thing) -> tuple[str | None, ...]:
        """Who is admitted to a listener, by the certificate that is looked at."""
        if listener.values["protocol"] != "TERMINATED_HTTPS":
            return (None,)
        return self._authorities.admitted(listener.values)


def _answers(ask_once: Callable[[], Seen], want: Expected, most: int) -> Iterator[Seen]:
    """Of that many clients, one after the other, or a few at a time where each may wait for seconds."""
    together = _TOGETHER if want.members and want.statuses else 1
    with ThreadPoolExecutor(together) as clients:
        for begun in range(0, most, together):
            asked = [clients.submit(ask_once) for _ in range(min(together, most - begun))]
            yield from (client.result() for client in asked)


def _unlike_told(answer: Seen, wanted: Mapping[str, str]) -> str | None:
    told = {name: answer.told[name.lower()] for name in (*INSERTED, *TLS_HEADERS) if name.lower() in answer.told}
    return None if told == wanted else f"{answer.who} was told {told}, wanted {wanted}"


def _directives(text: str | None) -> set[str] | None:
    return None if text is None else {part.strip() for part in text.split(";")} - {""}


def _metrics(balancer: Balancer, listener: Thing) -> Iterator[str]:
    """A scrape names every listener that HAProxy serves, and no other."""
    status, text = metrics(balancer.vip, listener.values["protocol_port"])
    shown = set(re.findall(r'^octavia_listener_status\{listener="([^"]+)"', text, re.MULTILINE))
    wanted = {
        each.id for each in balancer.of("listener") if listening(balancer, each) and each.values["protocol"] != "UDP"
    }
    if status != 200 or shown != wanted:
        yield f"metrics: answered {status} with listeners {shown}, wanted {wanted}"
