"""The examples of docs/extensions.md: each request is sent, and answered as the page shows."""

import re
import shlex
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Any

from msgspec import Struct

from tests.api.client import Answer
from tests.api.harness import SUBNET, Harness, Tree

_PAGE = (Path(__file__).parents[2] / "docs" / "extensions.md").read_text()
_LB = "http://lb.example.net:9876/v2/lbaas"


class Example(Struct, frozen=True):
    """A command line of curl, and what it prints."""

    command: str
    status: str
    headers: list[str]
    body: str


def _examples() -> list[Example]:
    found = []
    for block in re.findall(r"```console\n(.*?)```", _PAGE, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _line, printed = part.partition("\nHTTP/1.1 ")
            head, _empty, body = printed.partition("\n\n")
            status, *headers = head.strip().split("\n")
            found.append(Example(command, status, headers, body.strip()))
    return found


def _send(harness: Harness, command: str, names: dict[str, str]) -> Answer:
    """What curl would send. A shell looks for quotes before it fills in variables, so those of a tag are escaped."""
    filled = Template(command.replace("\\\n", " ")).substitute(names, TAG=names["TAG"].replace('"', '\\"'))
    words = shlex.split(filled)
    assert words[:2] == ["curl", "-i"]
    method, url, headers, data = "GET", "", {}, None
    rest = iter(words[2:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _colon, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            data = next(rest).encode()
        else:
            url = word
    return harness.client.request(method, url.removeprefix(_LB), data, headers=headers)


def _like(shown: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, shown.split("…"))))


def test_the_examples(harness: Harness, tree: Tree) -> None:
    names: dict[str, Any] = {
        "LB": _LB,
        "SUBNET": SUBNET,
        "LOAD_BALANCER": tree.load_balancer,
        "LISTENER": tree.listener,
        "POOL": tree.pool,
        "TAG": "",
    }
    examples = _examples()
    assert len(examples) >= 10
    for example in examples:
        answer = _send(harness, example.command, names)
        status = HTTPStatus(answer.status)
        assert _like(example.status).fullmatch(f"{status.value} {status.phrase}"), (example, answer)
        for header in example.headers:
            name, _colon, value = header.partition(": ")
            assert _like(value).fullmatch(answer.headers[name.lower()]), (example, answer)
        assert _like(example.body).fullmatch(answer.body.decode()), (example, answer)
        names["TAG"] = answer.headers.get("etag", names["TAG"])
