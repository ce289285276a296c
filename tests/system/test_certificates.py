"""Certificates of a listener as a user has them: kept in the vault, named, shown to clients, renewed under load."""

import http.client
import socket
import ssl
import subprocess
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from livia.pki.sockets import ClosingSocket
from tests.keymaterial import INTERMEDIATE, ROOT, Holder
from tests.system.conftest import System
from tests.system.test_lifecycle import create
from tests.waiting import wait_for

NAME = "www.example.net"


def certificate(name: str = NAME) -> Holder:
    return Holder(name, dns_names=(name,), issuer=INTERMEDIATE)


class Clients:
    """Requests over TLS all the time: on one connection that is kept, and on a fresh one each."""

    def __init__(self, address: str, authority: Path) -> None:
        self._address = address
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.sslsocket_class = ClosingSocket
        self._stop = Event()
        self._threads = [Thread(target=self._run, args=(fresh,)) for fresh in (False, True, True)]
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, fresh: bool) -> None:
        connection: http.client.HTTPSConnection | None = None
        while not self._stop.wait(0.002):
            try:
                connection = connection or self._connect()
                connection.request("GET", "/", headers={"Host": NAME})
                answer = connection.getresponse()
                answer.read()
                if answer.status != http.client.OK:
                    self.failures.append(f"status {answer.status}")
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            if connection is not None and (fresh or self.failures or answer.will_close):
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(NAME, 443, timeout=5.0, context=self._context)
        connection.sock = self._wrapped(NAME)
        return connection

    def _wrapped(self, name: str) -> ssl.SSLSocket:
        plain = socket.create_connection((self._address, 443), timeout=5.0)
        try:
            return self._context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def shown(self, name: str = NAME) -> int:
        """The serial number of the certificate that a client is shown who asks for `name`."""
        with self._wrapped(name) as stream:
            found = stream.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


class Site:
    """A load balancer that ends TLS, with a certificate for each of two names."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.holders: list[Holder] = []
        self.authority = self._file("root.pem", ROOT.pem)
        self.first, self.other = certificate(), certificate("other.example.net")
        self.references = [self.secret("create", "--name", "web", of=self.first), self.secret("create", of=self.other)]
        backends = {"web-1": system.stage.start_backend("web-1")}
        self.load_balancer = create(system, "tls", backends)
        key = self.load_balancer["id"]
        listener = {
            "loadbalancer_id": key,
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": 443,
            "default_pool_id": self.load_balancer["pools"][0]["id"],
            "default_tls_container_ref": self.references[0],
            "sni_container_refs": [self.references[1]],
            "hsts_max_age": 60,
        }
        self.listener = system.api.post("/listeners", {"listener": listener})["listener"]["id"]
        system.api.wait_active(key)

    def _file(self, name: str, content: bytes) -> Path:
        # Beside the installation: what is in there is looked through for keys.
        path = self.system.directory / name
        path.write_bytes(content)
        return path

    def secret(self, *arguments: str, of: Holder) -> str:
        """`livia secret` with a certificate, as an operator gives it; the reference that it prints."""
        self.holders.append(of)
        given = self._file("given.pem", of.pem + of.key_pem() + INTERMEDIATE.pem)
        command = self.system.livia.command("secret", *arguments, "--certificate", str(given))
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        given.unlink()
        return said.strip().partition(": ")[0]

    def put(self, **values: Any) -> None:
        self.system.api.put(f"/listeners/{self.listener}", {"listener": values})
        self.system.api.wait_active(self.load_balancer["id"])

    def curl(self, name: str) -> str:
        """The answer's version, status, and who answered."""
        address = f"{name}:443:{self.load_balancer['vip_address']}"
        command = ["curl", "-sS", "--cacert", str(self.authority), "--resolve", address, f"https://{name}/"]
        written = ["-w", "%{http_version} %{http_code} %header{strict-transport-security}"]
        return subprocess.run([*command, *written], capture_output=True, text=True, check=True).stdout

    def clients(self) -> Clients:
        return Clients(self.load_balancer["vip_address"], self.authority)


@pytest.fixture(scope="module")
def site(system: System) -> Site:
    return Site(system)


def test_each_name_gets_its_certificate_over_http2(site: Site) -> None:
    for name in (NAME, "other.example.net"):
        assert site.curl(name) == "web-1\n2 200 max-age=60;"
    clients = site.clients()
    assert clients.shown() == site.first.certificate.serial_number
    assert clients.shown("other.example.net") == site.other.certificate.serial_number


def test_renewal_fails_no_request(site: Site) -> None:
    reloads = processes(site)
    with site.clients() as clients:
        wait_for(lambda: clients.answered > 50, 30, "answers before")
        by_reference, in_place = certificate(), certificate()
        reference = site.secret("create", of=by_reference)
        site.put(default_tls_container_ref=reference)
        wait_for(lambda: clients.shown() == by_reference.certificate.serial_number, 30, "the other certificate")
        assert site.secret("replace", reference, of=in_place) == reference
        wait_for(lambda: clients.shown() == in_place.certificate.serial_number, 30, "the renewed certificate")
        site.system.api.wait_active(site.load_balancer["id"])
        answered = clients.answered
        # The same reference is read again, and here to no effect.
        site.put(default_tls_container_ref=reference)
        site.put(default_tls_container_ref=site.references[0])
        wait_for(lambda: clients.shown() == site.first.certificate.serial_number, 30, "the first certificate")
        wait_for(lambda: clients.answered > answered + 50, 30, "answers after")
    assert clients.failures == []
    assert processes(site) == reloads
    events = site.system.api.get(f"/loadbalancers/{site.load_balancer['id']}/events")["events"]
    assert [each["message"] for each in events if each["code"] == "listener.renew"] == [
        f"What {reference} stands for was replaced."
    ]


def processes(site: Site) -> dict[int, str]:
    """The HAProxy processes of the installation: a reload starts another worker."""
    place = str(site.system.directory)
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            program, where = (process / "comm").read_text().strip(), (process / "cwd").readlink()
        except OSError:
            continue
        if program == "haproxy" and str(where).startswith(place):
            found[int(process.name)] = str(where)
    assert found
    return found


def test_no_key_lies_about_in_the_open(site: Site) -> None:
    """Neither in the database nor in logs nor in what hosts keep, whatever was done before."""
    lines = [line for holder in site.holders for line in holder.key_pem().splitlines()[1:-1] if len(line) > 16]
    assert len(lines) >= len(site.holders)
    secrets = [*lines, *(holder.key.private_numbers().private_value.to_bytes(32, "big") for holder in site.holders)]
    searched = 0
    for path in (site.system.directory / "state").rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            searched += len(content)
            assert not [each for each in secrets if each in content], path
            assert b"PRIVATE KEY" not in content or path.parent.name in ("pki", "agents", "controllers"), path
    assert searched > 100_000
