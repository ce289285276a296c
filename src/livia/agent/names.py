"""Names of kernel objects. All derive from the state directory or an id, so that the next agent finds them."""

import hashlib
import re
from pathlib import Path

from livia.agent.errors import InvalidSpecError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def checked_id(text: str, what: str) -> str:
    """`text` when it can be part of a path and of a name. Raises InvalidSpecError naming `what`."""
    if not _ID.fullmatch(text):
        raise InvalidSpecError(f"The {what} {text[:80]!r} is no id: letters, digits, - and _ only, at most 64 of them.")
    return text


def _short(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Names:
    """The names one agent uses. Agents with different state directories never meet, but on the bridges of one
    `fabric_directory` (None: each its own)."""

    def __init__(self, state_directory: Path, fabric_directory: Path | None = None) -> None:
        self.state_directory = state_directory
        self.fabric_directory = fabric_directory or state_directory
        self._key = str(state_directory.resolve())
        #: e.g. livia-1a2b3c4d
        self.prefix = f"livia-{_short(self._key, 8)}"

    @property
    def fabric(self) -> str:
        """The network namespace of the bridges."""
        return f"livia-{_short(str(self.fabric_directory.resolve()), 8)}-fabric"

    def amphora(self, amphora_id: str) -> str:
        """The network namespace of an amphora."""
        return f"{self.prefix}-{amphora_id}"

    def guest_namespace(self, name: str) -> str:
        """A network namespace on networks of the fabric that is no amphora's, such as a web server's of the demo: it
        goes with them, and by its name nobody takes it for what is left of an amphora."""
        return f"{self.prefix}.{name}"

    def bridge(self, network_id: str) -> str:
        """The bridge of a network, inside the fabric."""
        return f"br-{_short(network_id, 10)}"

    def port(self, port_id: str) -> str:
        """The fabric's end of the veth pair of a port."""
        return f"p-{_short(port_id, 12)}"

    def host_inner(self, network_id: str) -> str:
        """The fabric's end of the host's own connection to a network."""
        return f"h-{_short(network_id, 12)}"

    def host_outer(self, network_id: str) -> str:
        """The host's end: it shares the root namespace with other agents'."""
        return f"lv-{_short(self._key + network_id, 10)}"

    def guest(self, network_id: str, namespace: str) -> str:
        """The fabric's end of the connection of a foreign namespace."""
        return f"g-{_short(network_id + namespace, 12)}"
