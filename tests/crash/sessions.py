"""Whether clients stay at their members, by cookies of session persistence."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from tests.crash.asking import SESSION, Seen
from tests.crash.model import Balancer
from tests.crash.prediction import Expected, persistence, usable

#: an answer to the same request with these cookies
Again: TypeAlias = Callable[[Mapping[str, str]], Seen]
#: requests that are answered alike where a client stays at its member
AGAIN = 4
#: cookies that are kept of a listener's pool
_KEPT = 6
#: clients with cookies of members that are asked for again in one look
_FOLLOWED = 3


class Sessions:
    """Cookies that clients were given: those of load balancers are kept over rounds and failovers, for each names its
    member as long as that stays. What was learned of members' own cookies is lost with the last amphora that knew."""

    def __init__(self, compared: Counter[str]) -> None:
        self._compared = compared
        #: (listener, pool) to cookies, each with the id of the member that it was given by
        self._kept: dict[tuple[str, str], dict[str, str]] = {}

    def problems(
        self, balancer: Balancer, listener_id: str, want: Expected, seen: Sequence[Seen], again: Again
    ) -> Iterator[str]:
        """Whoever of those who got the answers `seen` of a pool is elsewhere when asking once more."""
        pool = balancer.things.get(want.pool_id or "")
        if pool is None or not want.members:
            return
        match persistence(pool.values):
            case "HTTP_COOKIE":
                yield from self._given(balancer, listener_id, want, seen, again)
            case "APP_COOKIE":
                yield from self._learned(pool.values["session_persistence"]["cookie_name"], want, seen, again)

    def _given(
        self, balancer: Balancer, listener_id: str, want: Expected, seen: Sequence[Seen], again: Again
    ) -> Iterator[str]:
        """Of the load balancer's own cookie."""
        assert want.pool_id is not None
        kept = self._kept.setdefault((listener_id, want.pool_id), {})
        members = {member.id: str(member.values["protocol_port"]) for member in usable(balancer, want.pool_id)}
        ids = {port: key for key, port in members.items()}
        for answer in seen:
            if answer.who is not None and SESSION not in answer.cookies:
                yield f"{answer.who} answered a client without cookie, who was given none"
            elif answer.who is not None and answer.who in ids:
                kept[answer.cookies[SESSION]] = ids[answer.who]
        for session in list(kept)[:-_KEPT]:
            del kept[session]
        for session, member_id in list(kept.items()):
            # More than once: by chance anybody could get it.
            for answer in (again({SESSION: session}) for _ in range(AGAIN)):
                self._compared["cookies"] += 1
                if member_id not in members:
                    # Whoever takes clients may have this one now.
                    kept.pop(session, None)
                    problem = unlike(answer, want)
                else:
                    problem = _astray(answer, members[member_id]) or _passed_on(answer)
                if problem is not None:
                    yield f"a client with the cookie {session}: {problem}, wanted {want}"
                    break

    def _learned(self, name: str, want: Expected, seen: Sequence[Seen], again: Again) -> Iterator[str]:
        """Of a cookie that members set."""
        answered = [answer for answer in seen if answer.who is not None]
        for first in answered[:_FOLLOWED]:
            assert first.who is not None
            cookie = {name: first.cookies[name]}
            for answer in (again(cookie) for _ in range(AGAIN)):
                self._compared["cookies of members"] += 1
                problem = _astray(answer, first.who)
                if problem is not None:
                    yield f"a client with the cookie {cookie}: {problem}, wanted {want}"
                    break


def unlike(answer: Seen, want: Expected) -> str | None:
    """In what an answer is not one of those that are wanted."""
    if answer.who is not None:
        return None if answer.who in want.members else f"{answer.who} answered, wanted {want}"
    if answer.status not in want.statuses:
        return f"answered {answer.status} {answer.location or ''}, wanted {want}"
    if want.location is not None and answer.location != want.location:
        return f"sent to {answer.location}, wanted {want}"
    return None


def _astray(answer: Seen, member: str) -> str | None:
    return None if answer.who == member else f"it is of {member}, and answered was {answer}"


def _passed_on(answer: Seen) -> str | None:
    return f"{answer.who} was told it" if SESSION in answer.told.get("cookie", "") else None
