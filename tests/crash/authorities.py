"""Who may come to TLS listeners that ask clients for certificates, and which members are believed: authorities and what
they revoked, in the secret store of a machine, the clients, and how members speak TLS."""

import random
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives import hashes

from tests.crash.certificates import ISSUER
from tests.crash.vault import Vault
from tests.keymaterial import Holder

#: common names of clients to those of who signed them
CLIENTS = {"ann": "first", "bob": "first", "cid": "second"}
#: Of the first authority's clients the only one that it revokes at times, so that somebody may always come.
_REVOCABLE = "bob"
#: headers of contract 20, section 4.1, for listeners that end TLS
TLS_HEADERS = tuple(
    f"X-SSL-{name}"
    for name in (
        *("Client-Verify", "Client-Has-Cert", "Client-DN", "Client-CN", "Issuer"),
        *("Client-SHA1", "Client-Not-Before", "Client-Not-After"),
    )
)
_TRUSTED = (("first",), ("second",), ("first", "second"))


class Authorities:
    """Two that sign clients' certificates, which every tenant may trust: the first one with its revocation list, or
    a bundle, which has at times the one in it, at times the other, and at times both."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = Lock()
        self._signers = {name: Holder(name, authority=True) for name in ("first", "second")}
        self._clients = {name: Holder(name, issuer=self._signers[by]) for name, by in CLIENTS.items()}
        self._contexts = {name: _context(self._clients.get(name or "")) for name in (None, *CLIENTS)}
        self._trusted: tuple[str, ...] = _TRUSTED[0]
        self._revoked: frozenset[str] = frozenset()
        self.first = vault.create("first", self._signers["first"].pem, bundle=True)
        self.bundle = vault.create("bundle", self._bundle(self._trusted), bundle=True)
        #: Those of which the newest material holds nobody who signed members' certificates.
        self.distrusting: set[str] = set()
        self.revocations = vault.create("revocations", self._list(self._revoked), bundle=True)

    def renew(self, rng: random.Random) -> str:
        """Replace the bundle or the revocation list; how that ended. Raises UndecidedError."""
        with self._lock:
            if rng.random() < 0.5:
                trusted = rng.choice(_TRUSTED)
                text = self._bundle(trusted)
                refused = self._vault.replace(self.bundle, text, text.__eq__, bundle=True)
                self._trusted = self._trusted if refused else trusted
                (self.distrusting.discard if "first" in self._trusted else self.distrusting.add)(self.bundle)
                return f"the bundle of authorities by that of {trusted} is{f' not: {refused}' if refused else ''}"
            revoked = frozenset({_REVOCABLE} if rng.random() < 0.5 else set[str]())
            text = self._list(revoked)
            refused = self._vault.replace(self.revocations, text, text.__eq__, bundle=True)
            self._revoked = self._revoked if refused else revoked
            return f"the revocation list by one of {set(revoked)} is{f' not: {refused}' if refused else ''}"

    def context(self, client: str | None) -> ssl.SSLContext:
        """How a client speaks TLS; None: one without a certificate. It trusts every server."""
        return self._contexts[client]

    def fresh_context(self, client: str | None) -> ssl.SSLContext:
        """The same to be altered."""
        return _context(self._clients.get(client or ""))

    def member_context(self) -> ssl.SSLContext:
        """How members speak TLS: with a certificate that the first authority signed, asking for that of the client."""
        context = _loaded(ssl.PROTOCOL_TLS_SERVER, Holder("member", issuer=self._signers["first"]))
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=ISSUER.pem.decode())
        return context

    def admitted(self, values: Mapping[str, Any]) -> tuple[str | None, ...]:
        """Who may come to a TLS listener with these values, nobody's certificate (None) first, if it is asked for any;
        where it is not, nobody shows one."""
        asks = values.get("client_authentication", "NONE")
        if asks == "NONE":
            return (None,)
        trusted = self._trusted if values["client_ca_tls_container_ref"] == self.bundle else ("first",)
        revoked = self._revoked if values["client_crl_container_ref"] is not None else frozenset[str]()
        known = [name for name, by in CLIENTS.items() if by in trusted and name not in revoked]
        return (*known,) if asks == "MANDATORY" else (None, *known)

    def told(self, client: str | None) -> dict[str, str]:
        """What members are told about a client's certificate, by header."""
        facts = ["0", "0", *[""] * 6]
        if client is not None:
            holder = self._clients[client]
            moments = (holder.certificate.not_valid_before_utc, holder.certificate.not_valid_after_utc)
            sha1 = holder.certificate.fingerprint(hashes.SHA1()).hex().upper()
            facts = ["0", "1", f"/CN={client}", client, f"/CN={CLIENTS[client]}", sha1]
            facts += [f"{moment:%y%m%d%H%M%SZ}" for moment in moments]
        return dict(zip(TLS_HEADERS, facts, strict=True))

    def _bundle(self, names: tuple[str, ...]) -> bytes:
        return b"".join(self._signers[name].pem for name in names)

    def _list(self, revoked: frozenset[str]) -> bytes:
        return self._signers["first"].revocation_list(*(self._clients[name] for name in revoked))


def _context(holder: Holder | None) -> ssl.SSLContext:
    context = _loaded(ssl.PROTOCOL_TLS_CLIENT, holder)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _loaded(protocol: int, holder: Holder | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    if holder is not None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "holder.pem"
            path.write_text(holder.text())
            context.load_cert_chain(path)
    return context
