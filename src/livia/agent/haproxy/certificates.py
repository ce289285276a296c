"""Certificates that change while HAProxy runs (management guide, section 9.3: set, commit, new, add, del ssl ...).

Authorities and revocation lists change by a reload. HAProxy 2.6 takes `commit ssl ca-file` and `crl-file` with
"Success", but servers without a certificate of their own go on with the old, and it uses freed memory, up to a crash,
when the certificate that goes with them is replaced twice afterwards (haproxy/haproxy issue 3165; seen with 2.6.12).

Each change is a transaction in HAProxy: what it does not take leaves the old in use. Errors name files and HAProxy's
words, never what was sent.
"""

from collections.abc import Callable

from msgspec import Struct

from livia.agent.haproxy.runtime import RuntimeApiError, Worker
from livia.agent.haproxy.tls import certificate_slots, material_slots, of_listener, path
from livia.agent.redaction import without_keys
from livia.core.spec import Spec

#: HAProxy takes one command in one buffer (tune.bufsize, 16384 bytes, less what it reserves)
_MOST_BYTES = 15000


class Entry(Struct, frozen=True):
    """A certificate in a listener's list beyond the first: its slot, its material, and the list's slot."""

    slot: str
    material: str
    list: str


class Renewals(Struct, frozen=True):
    """In this order: certificates that come, slots whose certificate is another now, certificates that go."""

    arrivals: tuple[Entry, ...] = ()
    replacements: tuple[tuple[str, str], ...] = ()
    departures: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.arrivals or self.replacements or self.departures)


def renewals(running: Spec, wanted: Spec) -> Renewals:
    """What of the key material is another, where both specs have the same configuration file."""
    before, after = _further(running), _further(wanted)
    old = material_slots(running)
    return Renewals(
        arrivals=tuple(entry for slot, entry in after.items() if slot not in before),
        replacements=tuple(
            (slot, name) for slot, name in material_slots(wanted).items() if slot in old and old[slot] != name
        ),
        departures=tuple(entry for slot, entry in before.items() if slot not in after),
    )


def _further(spec: Spec) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for listener in spec.listeners:
        if listener.tls is not None:
            _first, *others = certificate_slots(listener, listener.tls).items()
            found |= {slot: Entry(slot, name, of_listener(listener).list) for slot, name in others}
    return found


class Certificates:
    """Key material of one worker. `pem`: the text of a name."""

    def __init__(self, worker: Worker, pem: Callable[[str], str]) -> None:
        self._worker = worker
        self._pem = pem

    def change(self, steps: Renewals) -> None:
        """Carry `steps` out. Raises RuntimeApiError; then some may be done, and a reload does the rest."""
        for entry in steps.arrivals:
            file = path(entry.slot)
            self._tell(f"new ssl cert {file}", "New empty certificate store")
            self._replace(file, entry.material)
            self._tell(f"add ssl crt-list {path(entry.list)} {file}", "Success")
        for slot, name in steps.replacements:
            self._replace(path(slot), name)
        for entry in steps.departures:
            file = path(entry.slot)
            self._tell(f"del ssl crt-list {path(entry.list)} {file}", "deleted in crtlist")
            self._tell(f"del ssl cert {file}", "deleted")

    def _replace(self, file: str, name: str) -> None:
        pem = self._pem(name)
        if len(pem) > _MOST_BYTES:
            raise RuntimeApiError(f"{file} has {len(pem)} bytes, more than HAProxy takes at run time.")
        try:
            # An empty line ends what is sent.
            self._tell(f"set ssl cert {file}", "ransaction", payload=f" <<\n{pem}\n")
            self._tell(f"commit ssl cert {file}", "Success")
        except RuntimeApiError:
            # Or it stays open, and no other certificate can be changed.
            self._worker.ask(f"abort ssl cert {file}")
            raise

    def _tell(self, command: str, success: str, payload: str = "") -> None:
        answer = self._worker.ask(command + payload)
        if success not in answer:
            raise RuntimeApiError(f"HAProxy answered '{without_keys(answer)}' to '{command}'.")
