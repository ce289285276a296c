"""Private keys are nowhere in the clear but in memory, where HAProxy reads them: also after faults, and not after all.

Whatever is looked through is also looked for the keys of what is refused. The state directory of an installation on
SQLite holds its database, so both kinds of databases are looked at from both sides.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from livia.agent.names import Names
from livia.ops import secrets
from livia.ops.demo.api import ApiError
from livia.ops.down import down
from livia.ops.secrets import SecretError
from livia.ops.status import children
from livia.store import tables as t
from tests.database import SERVERS, server_database
from tests.keymaterial import INTERMEDIATE, ROOT, Holder
from tests.system.conftest import System
from tests.system.leaks import MEMORY, Found, Needles, Places, file_system
from tests.system.test_lifecycle import amphorae_of, create, delete
from tests.waiting import wait_for

PASSPHRASE = b"correct-horse-battery-staple"
NAMES = ("pem.example.net", "bundle.example.net", "locked.example.net")


class World:
    """An installation with a load balancer that ends TLS with keys given in each form there is."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.needles = Needles()
        self.needles.add_text("passphrase", PASSPHRASE)
        self.places = Places(system, self.needles, time.time())
        self.holders = {name: self.holder(name) for name in NAMES}
        pem, bundle, locked = (self.holders[name] for name in NAMES)
        whole = bundle.pkcs12(PASSPHRASE, (INTERMEDIATE,))
        sealed = locked.key_pem(PASSPHRASE)
        self.needles.add_bundle("PKCS12 bundle", whole)
        self.needles.add_bundle("sealed key", sealed)
        self.references = [
            self.secret(pem.text(INTERMEDIATE).encode()),
            self.secret(whole, PASSPHRASE, kind="pkcs12"),
            self.secret(locked.pem + sealed + INTERMEDIATE.pem, PASSPHRASE),
        ]
        self.load_balancer = create(system, "keys", {"web-1": system.stage.start_backend("web-1")})
        self.listener = self.listen(443, default=self.references[0], sni_container_refs=self.references[1:])

    def holder(self, name: str) -> Holder:
        made = Holder(name, dns_names=(name,), issuer=INTERMEDIATE)
        self.needles.add_key(name, made)
        return made

    def secret(self, content: bytes, passphrase: bytes | None = None, *, kind: str = "certificate") -> str:
        """The reference of a secret. Raises SecretError."""
        with tempfile.NamedTemporaryFile(dir=self.system.directory) as given:
            given.write(content)
            given.flush()
            files = secrets.Files(**{kind: Path(given.name)})
            phrase = None if passphrase is None else passphrase.decode()
            return secrets.create(self.system.livia.installation, files, passphrase=phrase).reference

    def listen(self, port: int, *, default: str, **values: Any) -> str:
        """A TLS listener that serves; its id."""
        wanted = {
            "loadbalancer_id": self.load_balancer["id"],
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": port,
            "default_pool_id": self.load_balancer["pools"][0]["id"],
            "default_tls_container_ref": default,
            **values,
        }
        made: str = self.system.api.post("/listeners", {"listener": wanted})["listener"]["id"]
        self.active()
        return made

    def active(self) -> None:
        self.system.api.wait_active(self.load_balancer["id"])

    def curl(self, name: str) -> str:
        authority = self.system.directory / "root.pem"
        authority.write_bytes(ROOT.pem)
        where = f"{name}:443:{self.load_balancer['vip_address']}"
        command = ["curl", "-sS", "--cacert", str(authority), "--resolve", where, f"https://{name}/"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def shown(self) -> list[Found]:
        """What is to be seen of any key outside of memory; asserts that there was something to look at."""
        places = self.places
        places.found.clear()
        key = self.load_balancer["id"]
        amphorae = list(amphorae_of(self.system, key))
        ids = {
            "loadbalancer_id": key,
            "listener_id": self.listener,
            "pool_id": self.load_balancer["pools"][0]["id"],
            "amphora_id": amphorae[0],
        }
        looked = (places.files(), places.rows(), places.processes(), places.answers(ids), places.agent(amphorae))
        assert min(looked) > 1000, looked
        return list(places.found)

    def in_memory(self) -> set[str]:
        """The files with keys in them where HAProxy reads them; asserts that they are in memory."""
        self.places.found.clear()
        self.places.memory()
        paths = {each.place for each in self.places.found}
        assert {file_system(Path(path)) for path in paths} <= {"tmpfs", "ramfs"}
        return paths

    def agent(self) -> int:
        """Its process id."""
        process = self.system.livia.process
        assert process is not None
        for pid in children(process.pid):
            # One that ended meanwhile is not it.
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "livia-agent":
                    return pid
        return 0


@pytest.fixture(scope="module", params=["sqlite", *(each for each in SERVERS if each == "mariadb")])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        extra = "[DEFAULT]\ndebug = true\n"
        if request.param != "sqlite":
            url = stack.enter_context(server_database(request.param)).url
            extra += f"[database]\nconnection = {url.render_as_string(hide_password=False)}\n"
        system = System(Path(tempfile.mkdtemp(prefix="lv-")), extra)
        stack.callback(system.close)
        yield World(system)


def test_keys_that_serve_are_in_memory_and_are_told_nobody(world: World) -> None:
    assert [world.curl(name) for name in NAMES] == ["web-1"] * 3
    # Two amphorae with three keys each: what is found here would be found elsewhere.
    assert len(world.in_memory()) == 6
    assert world.shown() == []


def test_what_is_refused_says_why_and_shows_no_key(world: World) -> None:
    stranger = world.holder("stranger.example.net")
    broken = stranger.key_pem().replace(b"\nM", b"\n!", 1)
    for content, why in (
        (world.holders[NAMES[0]].pem + stranger.key_pem(), "does not belong to its certificate"),
        (stranger.pem + stranger.key_pem(PASSPHRASE), "no passphrase"),
        (stranger.pem + broken, "private key"),
    ):
        with pytest.raises(SecretError, match=why) as refused:
            world.secret(content)
        assert world.needles.of("refusal", str(refused.value).encode()) == []
    bundle = world.system.directory / "bundle"
    bundle.write_bytes(stranger.pkcs12(PASSPHRASE))
    command = world.system.livia.command("secret", "create", "--pkcs12", str(bundle), "--passphrase-file", "-")
    done = subprocess.run(command, input=b"another", capture_output=True, check=False, timeout=60)
    assert b"its passphrase is another" in done.stderr
    assert world.needles.of(command, done.stdout + done.stderr) == []
    authority = world.secret(ROOT.pem, kind="bundle")
    damaged = world.secret(stranger.text().encode())
    with world.system.livia.installation.database().write() as connection:
        row = damaged.rpartition("/")[2]
        connection.execute(update(t.secret).where(t.secret.c.id == row).values(sealed=b"\0" * 64))
    refusals: tuple[dict[str, Any], ...] = (
        {"default": authority},
        {"default": damaged},
        {"default": world.references[0], "client_ca_tls_container_ref": authority}
        | {"client_crl_container_ref": world.references[2]},
    )
    for values in refusals:
        with pytest.raises(ApiError) as told:
            world.listen(444, **values)
        assert told.value.status == 400
        assert world.needles.of("refusal", str(told.value).encode()) == []
    assert world.shown() == []


def test_a_key_that_haproxy_refuses(world: World) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-subj",
        "/CN=weak.example.net",
        "-keyout",
        "-",
    ]
    weak = subprocess.run(command, capture_output=True, check=True).stdout
    world.needles.add_bundle("weak key", weak[: weak.index(b"-----END") + 25])
    with pytest.raises(ApiError, match="unable to load SSL certificate"):
        world.listen(445, default=world.secret(weak))
    assert world.shown() == []
    assert len(world.in_memory()) == 6
    assert [world.curl(name) for name in NAMES] == ["web-1"] * 3
    listeners = world.system.api.get("/listeners?protocol_port=445")["listeners"]
    world.system.api.delete(f"/listeners/{listeners[0]['id']}")
    world.active()


def test_an_agent_that_is_killed_while_it_writes(world: World) -> None:
    renewed = world.secret(world.holder("first").text().encode())
    for delay in (0.0, 0.005, 0.02, 0.05):
        other = world.holder(NAMES[0])
        # What is replaced goes to both amphorae, one file each.
        renewed = world.secret(other.text(INTERMEDIATE).encode())
        wait_for(lambda: world.agent() != 0, 30, "the agent runs")
        agent = world.agent()
        world.system.api.put(f"/listeners/{world.listener}", {"listener": {"default_tls_container_ref": renewed}})
        time.sleep(delay)
        os.kill(agent, signal.SIGKILL)
        assert world.places.files() > 0
        world.active()
        assert world.curl(NAMES[0]) == "web-1"
    assert len(world.in_memory()) == 6
    assert world.shown() == []


def test_nothing_is_left_of_what_is_gone(world: World) -> None:
    delete(world.system, world.load_balancer)
    assert world.in_memory() == set()
    world.places.found.clear()
    assert world.places.files() > 0
    assert world.places.rows() > 0
    left = [path for path in (world.system.directory / "state" / "agent").rglob("*") if path.parent.name == "sealed"]
    assert (world.places.found, left) == ([], [])
    with world.system.livia.installation.database().read() as connection:
        assert connection.execute(select(t.bound_material.c.name)).all() == []


def test_nothing_is_left_in_memory_after_livia_down(world: World) -> None:
    world.load_balancer = create(world.system, "again", {"web-1": world.system.stage.addresses["web-1"]})
    world.listen(443, default=world.references[0])
    assert len(world.in_memory()) == 2
    world.system.livia.stop()
    assert len(world.in_memory()) == 2, "who only ends the services serves on"
    down(world.system.livia.installation, purge=False)
    assert world.in_memory() == set()
    prefix = Names(world.system.livia.installation.state.agent_directory).prefix
    assert [path for each in MEMORY for path in each.glob(f"{prefix}*")] == []
