"""The life of an agent: take over what is there, serve, go, and leave the data plane running."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

import structlog

from livia.agent.config import AgentConfig
from livia.agent.credentials import AgentCredentials
from livia.agent.errors import PlumbingError
from livia.agent.heartbeat import Pulse, Sender
from livia.agent.host import Host
from livia.agent.https import HttpsServer
from livia.agent.plumbing import kernel
from livia.agent.registry import Registry
from livia.agent.server import LARGEST_BODY, application

log = structlog.get_logger()


def run(config: AgentConfig, *, ready: Callable[[], None] | None = None, stop: Event) -> None:
    """Run the agent until `stop` is set; `ready` is called when it serves. Load balancers run on afterwards.

    Raises PlumbingError when a program it needs is missing, OSError when its address is taken, ssl.SSLError when
    its certificate cannot be used.
    """
    host = Host(config)
    credentials = AgentCredentials(config.certificate, config.client_ca, config.name)
    host.open()
    try:
        _serve(config, host, credentials, ready, stop)
    finally:
        host.close()
    log.info("agent ends; load balancers run on")


def _serve(
    config: AgentConfig, host: Host, credentials: AgentCredentials, ready: Callable[[], None] | None, stop: Event
) -> None:
    sender = Sender(config.heartbeat_key, config.controllers, time.time)
    pulses: list[Pulse] = []
    registry = Registry(
        host,
        on_change=lambda amphora_id: pulses[0].urge(amphora_id),
        on_removal=lambda amphora: pulses[0].farewell(amphora),
    )
    pulse = Pulse(host, registry, sender)
    pulses.append(pulse)
    registry.open()
    with HttpsServer(
        (config.bind_host, config.bind_port),
        credentials.context,
        application(host, registry, credentials),
        largest_body=LARGEST_BODY,
    ) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="https", daemon=True).start()
        pulse.start()
        log.info("agent serves", address=f"{config.bind_host}:{config.bind_port}", amphorae=len(registry.all()))
        if ready is not None:
            ready()
        stop.wait()
        server.shutdown()
    pulse.stop()
    registry.close()


def down(config: AgentConfig) -> None:
    """Remove every namespace, bridge and process of the agent. The specs stay on disk: the next agent on this state
    directory builds the same amphorae again, as after a reboot. No agent runs meanwhile. Raises PlumbingError."""
    host = Host(config)
    amphorae = sorted(path.name for path in host.amphorae_directory.glob("*"))
    with suppress(FileNotFoundError):
        for link in (config.state_directory / "s6" / "scan").iterdir():
            if link.is_symlink():
                link.unlink()
    for amphora_id in amphorae:
        host.groups.kill(amphora_id)
    host.supervisor.close()
    for amphora_id in amphorae:
        # A supervisor that outlived the first blow may have started its service once more.
        host.groups.kill(amphora_id)
    for namespace in kernel.named(host.names.prefix):
        kernel.delete(namespace)
    host.groups.remove_root()
    shutil.rmtree(config.state_directory / "s6", ignore_errors=True)
    with suppress(PlumbingError):
        shutil.rmtree(host.memory(), ignore_errors=True)
