"""L7 policies with real clients: every request takes the branch it should, also while policies change."""

import socket
from typing import Any

from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.spec import PolicySpec, RuleSpec, Spec
from tests.agent.lab import VIP, Lab, listener, member, pool, single
from tests.agent.load import KeptLoad


def _rule(kind: str, compare: str, value: str, key: str | None = None, *, invert: bool = False) -> RuleSpec:
    return RuleSpec(type=RuleType(kind), compare_type=CompareType(compare), key=key, value=value, invert=invert)


def _policy(action: Action, *rules: RuleSpec, **changes: Any) -> PolicySpec:
    return PolicySpec(id="policy", action=action, rules=rules, **changes)


POLICIES = (
    _policy(Action.REDIRECT_TO_POOL, _rule("PATH", "STARTS_WITH", "/static"), pool_id="pool-2"),
    _policy(
        Action.REDIRECT_TO_POOL,
        _rule("HEADER", "EQUAL_TO", "beta user", "X-Group"),
        _rule("COOKIE", "CONTAINS", "no", "opt", invert=True),
        pool_id="pool-2",
    ),
    _policy(Action.REDIRECT_TO_POOL, _rule("HEADER", "EQUAL_TO", "6.6.6.6", "X-Forwarded-For"), pool_id="pool-2"),
    _policy(
        Action.REDIRECT_TO_URL,
        _rule("HOST_NAME", "EQUAL_TO", "old.example"),
        url="https://new.example/%[src]",
        code=301,
    ),
    _policy(Action.REDIRECT_PREFIX, _rule("PATH", "REGEX", r"^/a{2,3}\.(x|y)$"), url="https://p.example/q", code=308),
    _policy(Action.REJECT, _rule("FILE_TYPE", "EQUAL_TO", "php")),
    _policy(
        Action.REJECT, _rule("PATH", "EQUAL_TO", "/only-here"), _rule("HOST_NAME", "ENDS_WITH", ".Net", invert=True)
    ),
    # Without TLS nobody has a certificate.
    _policy(Action.REJECT, _rule("SSL_CONN_HAS_CERT", "EQUAL_TO", "True")),
    _policy(Action.REJECT, _rule("SSL_VERIFY_RESULT", "EQUAL_TO", "0")),
    _policy(Action.REJECT, _rule("SSL_DN_FIELD", "CONTAINS", "x", "CN")),
)

#: path, headers, and the member that answers, or status and location
BRANCHES: list[tuple[str, dict[str, str], Any]] = [
    ("/", {}, "one"),
    ("/static/x", {}, "two"),
    ("/Static", {}, "one"),
    ("/?/static", {}, "one"),
    ("/", {"X-Group": "alpha, beta user"}, "two"),
    ("/", {"X-Group": "Beta user"}, "one"),
    ("/", {"X-Group": "beta user", "Cookie": "opt=know"}, "one"),
    ("/", {"X-Group": "beta user", "Cookie": "other=no; opt=yes"}, "two"),
    # What the listener itself inserts is not what the client sent.
    ("/", {"X-Forwarded-For": "6.6.6.6"}, "two"),
    ("/", {"Host": "OLD.example"}, (301, "https://new.example/%[src]")),
    ("/", {"Host": "old.example:80"}, "one"),
    ("/static", {"Host": "old.example"}, (301, "https://new.example/%[src]")),
    ("/aa.x?b=c&d", {}, (308, "https://p.example/q/aa.x?b=c&d")),
    ("/aaaa.x", {}, "one"),
    ("/static/a.php", {"Host": "old.example"}, (403, None)),
    ("/a.php5", {}, "one"),
    ("/only-here", {}, (403, None)),
    ("/only-here", {"Host": "a.NET"}, "one"),
]


def _answer(lab: Lab, client: str, path: str, headers: dict[str, str]) -> Any:
    """The member that answers, or status and location."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in ({"Host": "h"} | headers).items())]

    def ask() -> bytes:
        data = b""
        with socket.create_connection((VIP, 80), timeout=5) as stream:
            stream.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            while chunk := stream.recv(65536):
                data += chunk
        return data

    head, _, body = kernel.inside(client, ask).decode().partition("\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    status = int(head.split()[1])
    return body if status == 200 else (status, fields.get("location"))


def _spec(*policies: PolicySpec) -> Spec:
    pools = (pool(member(1)), pool(member(2), id="pool-2"))
    numbered = tuple(replace(each, id=f"policy-{index}") for index, each in enumerate(policies))
    return single(pools, (listener(policies=numbered, insert_headers=("X-Forwarded-For",)),))


def test_every_request_takes_its_branch(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    running.member("two", "172.31.213.12")
    client = running.namespace("client", "172.31.213.100")
    running.apply(_spec(*POLICIES))
    for path, headers, expected in BRANCHES:
        assert _answer(running, client, path, headers) == expected, (path, headers)
    beat = running.hear(lambda beat: len(beat.get("pools", {})) == 2)
    assert set(beat["pools"]) == {"pool-1:listener-1", "pool-2:listener-1"}
    to_pool = POLICIES[0]
    with KeptLoad(client, VIP) as load, KeptLoad(client, VIP, "/static") as static:
        for generation in range(2, 8):
            running.apply(_spec(*POLICIES, *([to_pool] * generation)) if generation % 2 else _spec(), generation)
    assert (load.failures, static.failures) == ([], [])
    assert set(load.served) == {"one"}
    assert set(static.served) == {"one", "two"}
