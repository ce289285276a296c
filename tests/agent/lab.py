"""A place to try an agent in: certificates, networks, members and clients in namespaces, all removed at the end."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import msgspec
import urllib3

from livia.agent import main
from livia.agent.config import AgentConfig
from livia.agent.names import Names
from livia.agent.plumbing import kernel, segment
from livia.agent.plumbing.fabric import Fabric
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PoolProtocol
from livia.core.report import Applied, Refused
from livia.core.spec import (
    Assignment,
    Interface,
    InterfaceAddress,
    ListenerSpec,
    MemberSpec,
    MonitorSpec,
    Peer,
    PoolSpec,
    Spec,
    VipAddress,
    Vrrp,
    name_of,
)
from livia.pki.authority import Authority
from livia.pki.sockets import ClosingSocket
from tests.agent.exchange import fetch
from tests.ports import free_port
from tests.waiting import wait_for

NETWORK = "11111111-0000-4000-8000-000000000001"
VIP = "172.31.213.200"
KEY = "a key of the tests"

MEMBER = """
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/slow"):
            sleep(0.4)
        lines = [sys.argv[1]]
        if self.path == "/echo":
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        text = "\\n".join(lines).encode()
        if self.path.startswith("/bytes/"):
            text = b"x" * int(self.path.removeprefix("/bytes/"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
ThreadingHTTPServer.request_queue_size = 256
ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer.address_family = socket.AF_INET6  # and IPv4 along with it, as the kernel has it by default
ThreadingHTTPServer(("::", 80), Answer).serve_forever()
"""


class Lab:
    """One agent with its surroundings."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self._fence = 1
        agents = Authority.open(directory / "agents", "agents")
        self.controllers = Authority.open(directory / "controllers", "controllers")
        self.agents_ca = agents.certificate_path
        certificate = directory / "agent.pem"
        certificate.write_bytes(agents.issue("host-1"))
        self.client_certificate = directory / "client.pem"
        self.client_certificate.write_bytes(self.controllers.issue("controller"))
        self.beats = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.beats.bind(("127.0.0.1", 0))
        self.beats.settimeout(30.0)
        settings: dict[str, Any] = {
            "state_directory": directory / "state",
            "name": "host-1",
            "bind_port": free_port(),
            "certificate": certificate,
            "client_ca": self.controllers.certificate_path,
            "controllers": (("127.0.0.1", self.beats.getsockname()[1]),),
            "heartbeat_key": KEY,
            "heartbeat_interval": 0.5,
        }
        self.config = AgentConfig(**(settings | options))
        self.names = Names(self.config.state_directory)
        self.fabric = Fabric(self.names)
        self._stop = Event()
        self._thread: Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._members: list[subprocess.Popen[bytes]] = []
        self._namespaces: list[str] = []
        self._pool: urllib3.HTTPSConnectionPool | None = None

    # -- the agent ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run the agent in a thread."""
        self._stop = Event()
        ready = Event()
        self._thread = Thread(target=main.run, args=(self.config,), kwargs={"ready": ready.set, "stop": self._stop})
        self._thread.start()
        assert ready.wait(30)

    def stop(self) -> None:
        """End the agent in its thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._pool is not None:
            # Its connections are served by threads of the agent that has just ended.
            self._pool.close()
            self._pool = None

    def spawn(self) -> None:
        """Run the agent as a process, that can be killed."""
        settings = self.directory / "config.json"
        settings.write_bytes(msgspec.json.encode(self.config, enc_hook=str))
        program = (
            "import os, sys, msgspec\nfrom pathlib import Path\nfrom threading import Event\n"
            "from livia.agent import main\nfrom livia.agent.config import AgentConfig\n"
            "config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=AgentConfig,"
            " dec_hook=lambda kind, value: kind(value))\n"
            "def ready():\n"
            "    print('ready', flush=True)\n"
            # Nobody reads on: a full pipe would stop the agent at its next log line.
            "    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
            "main.run(config, ready=ready, stop=Event())\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(settings)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        while b"ready" not in (said := self._process.stdout.readline()):
            assert said, "the agent did not start"

    def kill(self) -> None:
        """kill -9 the spawned agent."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def close(self) -> None:
        """Remove everything."""
        self.stop()
        if self._process is not None:
            self.kill()
        self.beats.close()
        for member in self._members:
            member.kill()
            member.wait()
        main.down(self.config)
        for namespace in self._namespaces:
            kernel.delete(namespace)

    # -- talking to it -----------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        if self._pool is None:
            self._pool = self.connect(self.client_certificate)
        return self._pool.request(method, path, body=body, retries=urllib3.Retry(3, allowed_methods=None))

    def connect(self, certificate: Path | None) -> urllib3.HTTPSConnectionPool:
        context = ssl.create_default_context(cafile=str(self.agents_ca))
        context.sslsocket_class = ClosingSocket
        if certificate is not None:
            context.load_cert_chain(certificate)
        return urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            self.config.bind_port,
            maxsize=8,
            ssl_context=context,
            assert_hostname="host-1",
            server_hostname="host-1",
            timeout=30,
        )

    def put(
        self, spec: Spec, generation: int = 1, fence: int | None = None, texts: Sequence[str] = ()
    ) -> Applied | Refused:
        """`fence`: of the lease that is held now, unless told."""
        fence = self._fence if fence is None else fence
        material = {name_of(text): text for text in texts}
        body = msgspec.json.encode(Assignment(fence=fence, generation=generation, spec=spec, material=material))
        answer = self.request("PUT", f"/v1/amphorae/{spec.amphora_id}", body)
        if answer.status == 200:
            return msgspec.json.decode(answer.data, type=Applied)
        return msgspec.json.decode(answer.data, type=Refused)

    def remove(self, amphora_id: str) -> int:
        """Remove an amphora with the lease that is held; the status. A new lease is held then."""
        self._fence += 1
        return self.request("DELETE", f"/v1/amphorae/{amphora_id}?fence={self._fence - 1}").status

    def apply(self, spec: Spec, generation: int = 1, texts: Sequence[str] = ()) -> Applied:
        answer = self.put(spec, generation, texts=texts)
        assert isinstance(answer, Applied), answer
        return answer

    # -- its surroundings --------------------------------------------------------------------------------------

    def namespace(self, name: str, address: str, network: str = NETWORK) -> str:
        full = f"lt{uuid4().hex[:8]}-{name}"
        self._namespaces.append(full)
        number = len(self._namespaces)
        segment.plug_namespace(
            self.fabric, network, full, mac=f"02:77:00:00:00:{number:02x}", addresses=(f"{address}/24",)
        )
        return full

    def member(self, name: str, address: str) -> str:
        """An HTTP server on port 80 that answers with its name. Returns its namespace."""
        namespace = self.namespace(name, address)
        self.serve(namespace, name)
        wait_for(lambda: self.get(namespace, address) == (200, name))
        return namespace

    def serve(self, namespace: str, name: str) -> None:
        command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", MEMBER, name]
        self._members.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """A process to end with the lab."""
        self._members.append(process)

    def get(
        self, namespace: str, address: str, path: str = "/", port: int = 80, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """(status, body) of a request made inside a namespace; status 0 when there is no answer."""
        return kernel.inside(namespace, lambda: fetch(address, path, port, headers))

    def worker_pid(self, amphora_id: str) -> int:
        from livia.agent.haproxy.runtime import Worker

        pid = Worker(self.config.state_directory / "amphorae" / amphora_id).pid()
        assert pid is not None
        return pid

    def hear(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30.0) -> dict[str, Any]:
        """The first heartbeat that is `wanted`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            beat = decode(self.beats.recv(65536))
            if wanted(beat):
                return beat
        raise AssertionError("no such heartbeat came")


def decode(datagram: bytes) -> dict[str, Any]:
    """A heartbeat, read with nothing of ours (contract 95, section 2)."""
    import hashlib
    import hmac
    import zlib

    payload, signature = datagram[:-64], datagram[-64:]
    assert hmac.new(KEY.encode(), payload, hashlib.sha256).hexdigest().encode() == signature
    decoded: dict[str, Any] = json.loads(zlib.decompress(payload))
    return decoded


def monitor(**changes: Any) -> MonitorSpec:
    values: dict[str, Any] = {"type": MonitorType.HTTP, "delay": 1, "timeout": 1, "rise": 1, "fall": 1}
    return MonitorSpec(**(values | changes))


def member(number: int, **changes: Any) -> MemberSpec:
    values: dict[str, Any] = {"id": f"m{number}", "address": f"172.31.213.{10 + number}", "port": 80, "weight": 1}
    return MemberSpec(**(values | changes))


def pool(*members: MemberSpec, **changes: Any) -> PoolSpec:
    values: dict[str, Any] = {
        "id": "pool-1",
        "protocol": PoolProtocol.HTTP,
        "algorithm": Algorithm.ROUND_ROBIN,
        "members": members,
    }
    return PoolSpec(**(values | changes))


def listener(**changes: Any) -> ListenerSpec:
    values: dict[str, Any] = {
        "id": "listener-1",
        "protocol": ListenerProtocol.HTTP,
        "port": 80,
        "connection_limit": -1,
        "default_pool_id": "pool-1",
        "insert_headers": (),
        "allowed_cidrs": (),
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
    }
    return ListenerSpec(**(values | changes))


def single(pools: tuple[PoolSpec, ...], listeners: tuple[ListenerSpec, ...] | None = None, number: int = 5) -> Spec:
    """An amphora of its own, at 172.31.213.`number`, with the VIP."""
    return Spec(
        amphora_id=f"amphora-{number}",
        load_balancer_id="lb-1",
        project_id="project-1",
        interfaces=(
            Interface(
                name="eth0",
                mac=f"02:77:00:01:00:{number:02x}",
                mtu=1500,
                network_id=NETWORK,
                port_id=f"port-{number}",
                addresses=(InterfaceAddress(address=f"172.31.213.{number}/24"),),
                gateway="172.31.213.1",
            ),
        ),
        vips=(VipAddress(address=VIP, interface="eth0"),),
        listeners=(listener(),) if listeners is None else listeners,
        pools=pools,
    )


def pair(pools: tuple[PoolSpec, ...], listeners: tuple[ListenerSpec, ...] | None = None) -> tuple[Spec, Spec]:
    """Two amphorae that share the VIP."""
    specs = []
    for number, other, priority in ((5, 6, 254), (6, 5, 250)):
        specs.append(
            msgspec.structs.replace(
                single(pools, listeners, number),
                vrrp=Vrrp(
                    instance="lb1",
                    interface="eth0",
                    router_id=1,
                    priority=priority,
                    advert_interval=0.1,
                    source=f"172.31.213.{number}",
                    peers=(f"172.31.213.{other}",),
                ),
                peers=(
                    Peer(amphora_id="amphora-5", address="172.31.213.5"),
                    Peer(amphora_id="amphora-6", address="172.31.213.6"),
                ),
            )
        )
    return specs[0], specs[1]


def processes_in(group_prefix: str) -> list[str]:
    """Command lines that mention a state directory or namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if group_prefix in text:
                found.append(text)
    return found


def end(pid: int) -> None:
    """kill -9 one process of ours."""
    os.kill(pid, signal.SIGKILL)
