"""Whether load balancers serve exactly what their configuration says: compared with the model by real requests."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.crash.asking import CLAIMED, SESSION, Seen, ask, certificate, connects, datagram, metrics
from tests.crash.certificates import NAMES, Certificates
from tests.crash.kinds import INSERTED
from tests.crash.model import Balancer, Thing, World
from tests.crash.prediction import (
    Expected,
    Request,
    expected,
    inserted,
    listening,
    persistence,
    requests,
    usable,
)

#: requests until each member has answered one
_ASKS = 60
#: requests that are answered alike where a client stays at its member
_AGAIN = 4
#: clients that ask at once where some of them wait for a member that takes no connection
_TOGETHER = 10
#: persistence cookies that are kept of a listener's pool
_KEPT = 6


class Traffic:
    """Clients of one machine. `ports`: where listeners of tenants can be.

    They keep the cookies that they were given, over rounds and failovers: a cookie names its member as long as that
    stays.
    """

    def __init__(self, world: World, certificates: Certificates, ports: list[int]) -> None:
        self._world = world
        self._certificates = certificates
        self._ports = ports
        #: what was compared, and how often
        self.compared: Counter[str] = Counter()
        #: (listener, pool) to cookies, each with the id of the member that it was given by
        self._sessions: dict[tuple[str, str], dict[str, str]] = {}
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
            yield from self._names(balancer, listener)
        known: set[str | None] = set()
        for request in requests(balancer, listener):
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
        for answer in _answers(balancer, listener, request, want, 1 if brief else _ASKS):
            seen.append(answer)
            problem = _unlike(answer, want) or _told_otherwise(listener, answer)
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
        pool = balancer.things.get(want.pool_id or "")
        if want.members and pool is not None and not brief and persistence(pool.values) == "HTTP_COOKIE":
            yield from self._stays(balancer, listener, request, want, seen)

    @staticmethod
    def _enough(seen: list[Seen], want: Expected) -> bool:
        if not want.members:
            return True
        if want.same:
            return len(seen) >= _AGAIN
        who = {answer.who for answer in seen} - {None}
        return who == want.members or (bool(who) and not want.all_of)

    # -- session persistence -------------------------------------------------------------------------------------

    def _stays(
        self, balancer: Balancer, listener: Thing, request: Request, want: Expected, seen: list[Seen]
    ) -> Iterator[str]:
        """Whether clients with cookies of a pool stay at their members."""
        assert want.pool_id is not None
        kept = self._sessions.setdefault((listener.id, want.pool_id), {})
        members = {member.id: str(member.values["protocol_port"]) for member in usable(balancer, want.pool_id)}
        ids = {port: key for key, port in members.items()}
        for answer in seen:
            if answer.who is not None and answer.session is None:
                yield f"{answer.who} answered a client without cookie, who was given none"
            elif answer.who is not None and answer.session is not None and answer.who in ids:
                kept[answer.session] = ids[answer.who]
        for session in list(kept)[:-_KEPT]:
            del kept[session]
        for session, member_id in list(kept.items()):
            # More than once: by chance anybody could get it.
            for answer in [ask(balancer.vip, listener, request, session) for _ in range(_AGAIN)]:
                self.compared["cookies"] += 1
                if member_id not in members:
                    # Whoever takes clients may have this one now.
                    kept.pop(session, None)
                    problem = _unlike(answer, want)
                else:
                    problem = _astray(answer, members[member_id])
                if problem is not None:
                    yield f"a client with the cookie {session}: {problem}, wanted {want}"
                    break

    # -- certificates --------------------------------------------------------------------------------------------

    def _names(self, balancer: Balancer, listener: Thing) -> Iterator[str]:
        """Whether each name gets its certificate, and any other name the default one."""
        references = [*listener.values["sni_container_refs"], listener.values["default_tls_container_ref"]]
        there = [self._certificates.names[each] for each in references if each is not None]
        default = listener.values["default_tls_container_ref"]
        others = {self._certificates.names[default]} if default is not None else set(there)
        for name in (None, "unknown.tls.example", *NAMES):
            self.compared["certificates"] += 1
            wanted = {name} if name in there else others
            shown = certificate(balancer.vip, listener.values["protocol_port"], name)
            whose = None if shown is None else self._certificates.whose(shown)
            if whose not in wanted:
                yield f"who asks for {name} is shown the certificate of {whose}, wanted {wanted} of {there}"


def _astray(answer: Seen, member: str) -> str | None:
    if answer.who != member:
        return f"it is of {member}, and answered was {answer}"
    return f"{member} was told it" if SESSION in answer.told.get("cookie", "") else None


def _answers(balancer: Balancer, listener: Thing, request: Request, want: Expected, most: int) -> Iterator[Seen]:
    """Of that many clients, one after the other, or a few at a time where each may wait for seconds."""
    together = _TOGETHER if want.members and want.statuses else 1
    with ThreadPoolExecutor(together) as clients:
        for begun in range(0, most, together):
            asked = [clients.submit(ask, balancer.vip, listener, request) for _ in range(min(together, most - begun))]
            yield from (client.result() for client in asked)


def _unlike(answer: Seen, want: Expected) -> str | None:
    if answer.who is not None:
        return None if answer.who in want.members else f"{answer.who} answered, wanted {want}"
    if answer.status not in want.statuses:
        return f"answered {answer.status} {answer.location or ''}, wanted {want}"
    if want.location is not None and answer.location != want.location:
        return f"sent to {answer.location}, wanted {want}"
    return None


def _told_otherwise(listener: Thing, answer: Seen) -> str | None:
    """What the member was told about the client, where that is not what it should be."""
    if answer.who is None or listener.values["protocol"] == "UDP":
        return None
    wanted = _wanted_headers(listener, answer)
    told = {name: answer.told.get(name.lower()) for name in INSERTED}
    return None if told == wanted else f"{answer.who} was told {told}, wanted {wanted}"


def _wanted_headers(listener: Thing, answer: Seen) -> Mapping[str, str | None]:
    values = {
        "X-Forwarded-For": answer.source,
        "X-Forwarded-Port": str(listener.values["protocol_port"]),
        "X-Forwarded-Proto": "https" if listener.values["protocol"] == "TERMINATED_HTTPS" else "http",
        "X-Real-IP": answer.source,
    }
    told = set(inserted(listener))
    return {name: values[name] if name in told else CLAIMED.get(name) for name in INSERTED}


def _metrics(balancer: Balancer, listener: Thing) -> Iterator[str]:
    """A scrape names every listener that HAProxy serves, and no other."""
    status, text = metrics(balancer.vip, listener.values["protocol_port"])
    shown = set(re.findall(r'^octavia_listener_status\{listener="([^"]+)"', text, re.MULTILINE))
    wanted = {
        each.id for each in balancer.of("listener") if listening(balancer, each) and each.values["protocol"] != "UDP"
    }
    if status != 200 or shown != wanted:
        yield f"metrics: answered {status} with listeners {shown}, wanted {wanted}"
