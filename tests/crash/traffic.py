"""Whether load balancers serve exactly what their configuration says: compared with the model by real requests."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.crash.asking import CLAIMED, Seen, Way, ask, ask_by_http2, connects, datagram, datagrams, metrics
from tests.crash.authorities import TLS_HEADERS, Authorities
from tests.crash.certificates import Certificates
from tests.crash.choices import OTHER_SOURCE, SOURCES
from tests.crash.encryption import PROTOCOLS, Encryption
from tests.crash.kinds import INSERTED
from tests.crash.members import ENCRYPTED, INTRODUCED, fingerprint
from tests.crash.model import Balancer, Thing, World
from tests.crash.prediction import (
    Expected,
    Request,
    admits,
    expected,
    inserted,
    introduces,
    listening,
    requests,
    strict_transport_security,
)
from tests.crash.sessions import AGAIN, Sessions, unlike

#: requests until each member has answered one
_ASKS = 60
#: times that every member has its turns
_TURNS = 3
#: clients that ask at once where some of them wait for a member that takes no connection
_TOGETHER = 10


class Traffic:
    """Clients of one machine. `ports`: where listeners of tenants can be."""

    def __init__(self, world: World, certificates: Certificates, authorities: Authorities, ports: list[int]) -> None:
        self._world = world
        self._certificates = certificates
        self._authorities = authorities
        self._ports = ports
        #: what was compared, and how often
        self.compared: Counter[str] = Counter()
        self._sessions = Sessions(self.compared)
        self._encryption = Encryption(certificates, authorities, self.compared)
        #: pools whose clients stay where they are, and addresses of clients, to who answered first in this look
        self._homes: dict[tuple[str, str], str | None] = {}

    def problems(self) -> Iterator[str]:
        """Whatever is answered otherwise than promised."""
        self._homes.clear()
        for balancer in list(self._world.balancers.values()):
            there = [thing for thing in balancer.of("listener") if listening(balancer, thing)]
            yield from self._beside(balancer, there)
            for thing in there:
                title = f"{thing.values['protocol']} listener {thing.id} at {balancer.vip}"
                for problem in self._from_everywhere(balancer, thing):
                    yield f"{title}:{thing.values['protocol_port']} {problem}"

    def _beside(self, balancer: Balancer, listeners: list[Thing]) -> Iterator[str]:
        used = {(thing.values["protocol"] == "UDP", thing.values["protocol_port"]) for thing in listeners}
        ways = [Way(SOURCES[0], balancer.vip, port) for port in self._ports]
        for way in ways:
            if (False, way.port) not in used and connects(way):
                yield f"{way.vip}:{way.port} takes connections, and no listener is there"
        for way in datagrams([way for way in ways if (True, way.port) not in used]):
            yield f"{way.vip}:{way.port} answers datagrams, and no listener is there"

    def _from_everywhere(self, balancer: Balancer, listener: Thing) -> Iterator[str]:
        """Only who comes from one of the listener's networks is served."""
        port = listener.values["protocol_port"]
        ways = [Way(source, balancer.vip, port) for source in SOURCES]
        more = [Way(OTHER_SOURCE, vip, port) for vip in balancer.more]
        for way in (*ways, *more):
            if admits(listener, way.source):
                continue
            self.compared["clients turned away"] += 1
            if datagram(way) is not None if listener.values["protocol"] == "UDP" else connects(way):
                yield f"who comes from {way.source} is served, allowed are {listener.values['allowed_cidrs']}"
        for way in [way for way in ways if admits(listener, way.source)][-1:]:
            yield from self._listener(balancer, listener, way)
        for way in more:
            if admits(listener, way.source) and listener.values["protocol"] != "PROMETHEUS":
                self.compared["requests to further addresses"] += 1
                request = requests(balancer, listener, self._clients(listener))[0]
                want = expected(balancer, listener, request, way.vip)
                for problem in self._request(balancer, listener, way, request, want, brief=True):
                    yield f"{request} to {way.vip}: {problem}"

    def _listener(self, balancer: Balancer, listener: Thing, way: Way) -> Iterator[str]:
        if listener.values["protocol"] == "PROMETHEUS":
            self.compared["scrapes"] += 1
            yield from _metrics(balancer, way)
            return
        if listener.values["protocol"] == "TERMINATED_HTTPS":
            yield from self._encryption.problems(way, listener)
        known: set[str | None] = set()
        for request in requests(balancer, listener, self._clients(listener)):
            want = expected(balancer, listener, request)
            # Who takes part in a pool is looked at once; other requests need only get to one of them.
            brief = want.pool_id in known
            if brief and want.pool_id is not None and not want.members:
                # A member that takes no connection has each client wait for three seconds.
                continue
            known.add(want.pool_id)
            for problem in self._request(balancer, listener, way, request, want, brief=brief):
                yield f"{request}: {problem}"
            if not brief:
                yield from self._by_http2(balancer, listener, way, request, want)

    def _by_http2(
        self, balancer: Balancer, listener: Thing, way: Way, request: Request, want: Expected
    ) -> Iterator[str]:
        """Browsers speak it with TLS wherever they can."""
        if not request.encrypted or "h2" not in listener.values.get("alpn_protocols", PROTOCOLS):
            return
        self.compared["requests over HTTP/2"] += 1
        answer = ask_by_http2(way, request, self._authorities.fresh_context(request.client))
        problem = unlike(answer, want) or self._told_otherwise(balancer, listener, request, want, answer)
        if problem is not None:
            yield f"{request} over HTTP/2: {problem}"

    # -- answers -------------------------------------------------------------------------------------------------

    def _request(
        self, balancer: Balancer, listener: Thing, way: Way, request: Request, want: Expected, *, brief: bool
    ) -> Iterator[str]:
        """Ask until everything wanted was seen; tell what was seen and not wanted, or not seen."""
        seen: list[Seen] = []
        self.compared["requests"] += 1
        self.compared["requests that several policies want"] += want.wanting > 1
        ask_once = partial(ask, way, listener, request, self._authorities.context(request.client))
        for answer in _answers(ask_once, want, 1 if brief else _ASKS):
            seen.append(answer)
            problem = unlike(answer, want) or self._told_otherwise(balancer, listener, request, want, answer)
            if problem is not None:
                yield problem
                return
            if self._enough(seen, want):
                break
        who = {answer.who for answer in seen}
        if want.all_of and not brief and who - {None} != want.members:
            yield f"only {who} answered, wanted {want}"
        if want.same and want.pool_id is not None:
            home = self._homes.setdefault((want.pool_id, way.source), seen[0].who)
            if who != {home}:
                yield f"one client was answered by {[answer.who for answer in seen]}, and before by {home}: {want}"
        if not brief:
            yield from self._shares(want, ask_once)
            yield from self._sessions.problems(balancer, listener.id, want, seen, ask_once)

    def _shares(self, want: Expected, ask_once: Callable[[], Seen]) -> Iterator[str]:
        """Whether each member gets its share, where all get them in turn."""
        if len(want.weights) < 2:
            return
        self.compared["shares"] += 1
        asked = sum(want.weights.values()) * _TURNS
        counts = Counter(ask_once().who for _ in range(asked))
        if any(abs(counts[who] - weight * _TURNS) > 1 for who, weight in want.weights.items()):
            yield f"of {asked} requests {dict(counts)} were answered, wanted {want}"

    @staticmethod
    def _enough(seen: list[Seen], want: Expected) -> bool:
        if not want.members:
            return True
        if want.same:
            return len(seen) >= AGAIN
        who = {answer.who for answer in seen} - {None}
        return who == want.members or (bool(who) and not want.all_of)

    def _told_otherwise(
        self, balancer: Balancer, listener: Thing, request: Request, want: Expected, answer: Seen
    ) -> str | None:
        """What the client, or the member about the client, was told that is not what it should be."""
        strict = strict_transport_security(listener)
        if _directives(answer.strict) != _directives(strict):
            return f"told Strict-Transport-Security: {answer.strict}, wanted {strict}"
        if answer.who is None or listener.values["protocol"] == "UDP":
            return None
        wanted = {**CLAIMED, **self._inserted(listener, request, answer)}
        version = introduces(balancer, want.pool_id)
        if version is not None:
            wanted[INTRODUCED] = f"{version} {answer.source}"
        pool = balancer.things[want.pool_id or ""].values
        if pool.get("tls_enabled"):
            wanted[ENCRYPTED] = fingerprint(self._certificates.newest(pool["tls_container_ref"]))
        names = (*INSERTED, *TLS_HEADERS, INTRODUCED, ENCRYPTED)
        told = {name: answer.told[name.lower()] for name in names if name.lower() in answer.told}
        return None if told == wanted else f"{answer.who} was told {told}, wanted {wanted}"

    def _inserted(self, listener: Thing, request: Request, answer: Seen) -> dict[str, str]:
        values = {
            **dict.fromkeys(("X-Forwarded-For", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"), answer.source),
            "X-Forwarded-Port": str(listener.values["protocol_port"]),
            "X-Forwarded-Proto": "https" if request.encrypted else "http",
            **self._authorities.told(request.client),
        }
        return {name: values[name] for name in inserted(listener)}

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


def _directives(text: str | None) -> set[str] | None:
    return None if text is None else {part.strip() for part in text.split(";")} - {""}


def _metrics(balancer: Balancer, way: Way) -> Iterator[str]:
    """A scrape names every listener that HAProxy serves, and no other."""
    status, text = metrics(way)
    shown = set(re.findall(r'^octavia_listener_status\{listener="([^"]+)"', text, re.MULTILINE))
    wanted = {
        each.id for each in balancer.of("listener") if listening(balancer, each) and each.values["protocol"] != "UDP"
    }
    if status != 200 or shown != wanted:
        yield f"metrics: answered {status} with listeners {shown}, wanted {wanted}"
