"""Key material as it could lie about, and every place of an installation where it could lie."""

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import urllib3
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct
from sqlalchemy import MetaData
from urllib3.util import Retry

from livia.drivers.amphora.agent import AgentTls
from livia.ops.metrics import OFFSETS
from livia.pki.sockets import ClosingSocket
from tests.keymaterial import Holder
from tests.system.conftest import System

#: characters of base64 that nobody else writes by chance
_TELLING = 20
#: where programs leave what they do not clean up; not below, for others work there too
_TEMPORARY = (Path(tempfile.gettempdir()), Path("/var/tmp"))
#: where agents keep files that touch no disk
MEMORY = (Path("/run/livia"), Path("/dev/shm/livia"))


class Found(Struct, frozen=True):
    """A place, and what of a key it has."""

    place: str
    form: str


class Needles:
    """Secrets in every form that we can think of: what is looked for, by what it is."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}

    def add_key(self, name: str, holder: Holder) -> None:
        """The key of `holder`: its numbers, and its files."""
        scalar = holder.key.private_numbers().private_value
        self._add_bytes(f"number of {name}", scalar.to_bytes(32, "big"))
        self._forms[str(scalar).encode()] = f"decimal number of {name}"
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            self._add_lines(f"PEM of {name}", holder.key.private_bytes(Encoding.PEM, form, NoEncryption()))

    def add_text(self, name: str, text: bytes) -> None:
        """A passphrase."""
        self._add_bytes(name, text)

    def add_bundle(self, name: str, content: bytes) -> None:
        """What was given whole, such as a PKCS12 bundle or a sealed PEM."""
        if content.startswith(b"-----BEGIN"):
            self._add_lines(name, content)
        else:
            middle = len(content) // 2
            self._add_bytes(name, content[middle : middle + 48])

    def _add_lines(self, name: str, pem: bytes) -> None:
        for number, line in enumerate(pem.splitlines()[1:-1], 1):
            if len(line) > _TELLING:
                self._forms[line] = f"line {number} of {name}"

    def _add_bytes(self, name: str, content: bytes) -> None:
        self._forms[content] = name
        for form, text in {
            "hexadecimal": content.hex(),
            "HEXADECIMAL": content.hex().upper(),
            "openssl's form": content.hex(":"),
            "Python's form": repr(content)[2:-1],
            "JSON": json.dumps(content.decode("latin-1"))[1:-1],
        }.items():
            self._forms.setdefault(text.encode(), f"{name}, {form}")
        for shift in range(3):
            # Without what depends on the bytes around it.
            encoded = base64.b64encode(b"\0" * shift + content)[4 if shift else 0 :].rstrip(b"=")[:-1]
            self._forms[encoded] = f"{name}, base64"

    def of(self, place: object, content: bytes) -> list[Found]:
        """What `content` has of any."""
        return [Found(str(place), form) for needle, form in self._forms.items() if needle in content]


class Places:
    """All that an installation writes, says and shows. Each method tells how many bytes it has looked at."""

    def __init__(self, system: System, needles: Needles, since: float) -> None:
        self._system = system
        self._needles = needles
        self._since = since
        self.found: list[Found] = []

    def _look(self, place: object, content: bytes) -> int:
        self.found += self._needles.of(place, content)
        return len(content)

    def files(self) -> int:
        """What hosts and controllers keep, the database, its log and core dumps among it; temporary files."""
        directory = self._system.directory / "state"
        paths = [path for path in _files(directory) if not path.is_symlink()]
        paths += [path for each in _TEMPORARY for path in each.glob("*") if path.is_file() and self._recent(path)]
        return sum(self._look(path, content) for path, content in _contents(paths))

    def _recent(self, path: Path) -> bool:
        try:
            return path.lstat().st_mtime >= self._since
        except FileNotFoundError:
            return False

    def memory(self) -> int:
        """What lies in memory for HAProxy."""
        paths = [path for each in MEMORY for path in _files(each)]
        return sum(self._look(path, content) for path, content in _contents(paths))

    def rows(self) -> int:
        """Every column of every row."""
        database = self._system.livia.installation.database()
        tables = MetaData()
        tables.reflect(database.engine)
        looked = 0
        with database.read() as connection:
            for table in tables.sorted_tables:
                for row in connection.execute(table.select()).mappings():
                    for column, value in row.items():
                        content = value if isinstance(value, bytes) else str(value).encode()
                        looked += self._look(f"{table.name}.{column}", content)
        database.close()
        return looked

    def processes(self) -> int:
        """What everybody sees who lists processes, and what they were started with."""
        paths = [Path(f"/proc/{pid}/{name}") for pid in _pids() for name in ("cmdline", "environ", "comm")]
        return sum(self._look(path, content) for path, content in _contents(paths))

    def answers(self, ids: Mapping[str, str]) -> int:
        """Every GET of the API. `ids`: for the parts of paths."""
        pool = urllib3.HTTPConnectionPool(self._system.endpoint.removeprefix("http://"))
        document = pool.request("GET", "/openapi.json").json()
        looked, given = 0, 0
        for template, operations in document["paths"].items():
            try:
                path = template.format(**ids)
            except KeyError:
                continue
            if "get" in operations:
                answer = pool.request("GET", path, retries=False)
                given += answer.status == 200
                looked += self._look(f"GET {template}", answer.data + repr(answer.headers).encode())
        pool.close()
        assert given > 20, given
        return looked + self._scrapes()

    def _scrapes(self) -> int:
        """What each service tells a Prometheus."""
        settings = self._system.livia.installation.settings
        host, port = settings.livia.metrics_host, settings.livia.metrics_port
        looked = 0
        for service in ("api", "worker", "health", "house"):
            address = f"http://{host}:{port + OFFSETS[service]}/metrics"
            answer = urllib3.request("GET", address, retries=Retry(connect=8, backoff_factor=0.1))
            assert answer.status == 200, service
            looked += self._look(f"metrics of {service}", answer.data)
        return looked

    def agent(self, amphorae: Iterable[str]) -> int:
        """What the agent tells its controllers."""
        installation = self._system.livia.installation
        tls = AgentTls(certificate=installation.state.controller_certificate, server_ca=installation.state.agents_ca)
        context = ssl.create_default_context(cafile=str(tls.server_ca))
        context.sslsocket_class = ClosingSocket
        context.load_cert_chain(str(tls.certificate))
        name = installation.state.host_name
        port = installation.settings.agent.bind_port
        looked = 0
        with urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            port,
            ssl_context=context,
            assert_hostname=name,
            server_hostname=name,
            # Who was killed a moment ago is not back at once.
            retries=Retry(connect=8, backoff_factor=0.1),
        ) as pool:
            for path in ("/metrics", "/v1/info", "/v1/amphorae", *(f"/v1/amphorae/{each}" for each in amphorae)):
                answer = pool.request("GET", path)
                assert answer.status == 200, path
                looked += self._look(path, answer.data)
        return looked


def file_system(path: Path) -> str:
    """The type of file system that a file is on, as the kernel names it."""
    said = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def _files(directory: Path) -> list[Path]:
    """Every file below. Others work there meanwhile: directories come and go."""
    found = [Path(place) / name for place, _directories, names in os.walk(directory) for name in names]
    return [path for path in found if path.is_file()]


def _pids() -> list[int]:
    return [
        int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal() and int(path.name) != os.getpid()
    ]


def _contents(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """What is in them; what is gone by now, or is nothing to read, is left out."""
    for path in paths:
        try:
            yield path, path.read_bytes()
        except OSError:
            continue
