"""The nftables table of an amphora: what it shall hold, what it holds, and how to come there. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

TABLE = "inet livia"
#: kind and name of an nft object
Key: TypeAlias = tuple[str, str]

_DIGEST = re.compile(r'comment "livia ([0-9a-f]{16})"')
_OBJECT = re.compile(r"\t(chain|map|set|counter|ct timeout) (\S+) \{")
#: what refers to others goes before them
_REMOVAL = ("chain", "map", "set", "counter", "ct timeout")


class Ruleset(Struct):
    """`objects`: the definition of each; `contents`: rules of chains, elements of sets and maps."""

    objects: dict[Key, str] = {}
    contents: dict[Key, list[str]] = {}
    #: of flows that may go on
    marks: set[int] = set()
    #: of members that are down: their flows would be those of nobody
    down: set[int] = set()
    #: rules that hold up flows of other marks
    strict: set[str] = set()
    #: (VIP, number of the protocol, port) of what is balanced
    services: set[tuple[str, int, int]] = set()

    def chain(self, name: str, rules: Iterable[str], hook: str = "") -> None:
        self.objects["chain", name] = hook
        self.contents["chain", name] = list(rules)

    def lenient(self) -> "Ruleset":
        """The same, with flows of every mark let through."""
        contents = {key: [line for line in lines if line not in self.strict] for key, lines in self.contents.items()}
        return replace(self, contents=contents)

    def mapped(self, name: str, definition: str, elements: Sequence[str], kind: str = "map") -> None:
        self.objects[kind, name] = definition
        self.contents.setdefault((kind, name), []).extend(elements)


class Loaded(Struct):
    """What the kernel has: its objects, and digests of the contents that are known."""

    objects: set[Key] = set()
    digests: dict[Key, str] = {}


def digests(wanted: Ruleset) -> dict[Key, str]:
    """A digest of the contents of each object."""
    return {key: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for key, lines in wanted.contents.items()}


def read(listing: str) -> Loaded:
    """What a terse listing of the table shows: chains say in a comment what they contain."""
    loaded = Loaded()
    key: Key | None = None
    for line in listing.splitlines():
        if found := _OBJECT.match(line):
            key = (found[1], found[2].strip('"'))
            loaded.objects.add(key)
        elif key is not None and key not in loaded.digests and (comment := _DIGEST.search(line)):
            loaded.digests[key] = comment[1]
    return loaded


def transaction(loaded: Loaded, wanted: Ruleset) -> str:
    """Commands that make the one the other; empty when nothing differs. Counters, what is remembered of clients, and
    chains with their turns are kept wherever nothing about them changes."""
    if not wanted.objects:
        return f"delete table {TABLE}\n" if loaded.objects else ""
    lines = [] if loaded.objects else [f"add table {TABLE}"]
    for (kind, name), definition in wanted.objects.items():
        if (kind, name) not in loaded.objects:
            lines.append(f"add {kind} {TABLE} {name}" + (f" {{ {definition} }}" if definition else ""))
    present = digests(wanted)
    for key, content in wanted.contents.items():
        if loaded.digests.get(key) != present[key]:
            lines += _refill(key, content, present[key])
    gone = loaded.objects - wanted.objects.keys()
    # Rules refer to maps, and the verdicts in maps to chains: both are emptied before either goes.
    lines += [f"flush {kind} {TABLE} {name}" for kind, name in sorted(gone) if kind in ("chain", "map")]
    lines += [f"delete {kind} {TABLE} {name}" for kind in _REMOVAL for each, name in sorted(gone) if each == kind]
    return "".join(f"{line}\n" for line in lines)


def _refill(key: Key, content: list[str], digest: str) -> list[str]:
    kind, name = key
    lines = [f"flush {kind} {TABLE} {name}"]
    if kind == "chain":
        for number, rule in enumerate(content):
            comment = f' comment "livia {digest}"' if number == 0 else ""
            lines.append(f"add rule {TABLE} {name} {rule}{comment}")
    elif content:
        lines.append(f"add element {TABLE} {name} {{ {', '.join(content)} }}")
    return lines
