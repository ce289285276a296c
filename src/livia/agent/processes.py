"""What of an amphora runs under the host's supervisor: HAProxy's process tree and, of one of a pair, keepalived's."""

from livia.agent import services
from livia.agent.disk import AmphoraDirectory
from livia.agent.haproxy.process import Haproxy
from livia.agent.host import Host
from livia.agent.keepalived.process import Keepalived
from livia.agent.supervise import write_service
from livia.core.spec import Spec


class Processes:
    """The caller holds the amphora's lock."""

    def __init__(
        self, host: Host, directory: AmphoraDirectory, namespace: str, haproxy: Haproxy, keepalived: Keepalived
    ) -> None:
        self._host = host
        self._directory = directory
        self._namespace = namespace
        self._haproxy = haproxy
        self._keepalived = keepalived
        self._id = directory.path.name
        self._haproxy_name, self._keepalived_name = f"{self._id}.h", f"{self._id}.k"

    def start(self, spec: Spec, vrrp: str | None) -> None:
        """Write what the services need, and have them supervised; HAProxy answers when this returns. `vrrp`:
        keepalived's file. Raises HaproxyRefusedError, PlumbingError."""
        if self._host.supervisor.has(self._haproxy_name):
            # Of an attempt that failed, or died: it runs with another file, and once it answers nobody tells
            # keepalived any more.
            self.end()
        self._directory.haproxy_exit.unlink(missing_ok=True)
        self._keepalived.hold_back()
        self._write(spec, vrrp)
        self._host.supervisor.add(self._haproxy_name, self._directory.haproxy_service)
        if vrrp is not None:
            self._supervise_keepalived()
        self._host.supervisor.restart(self._haproxy_name)
        self._haproxy.await_start()
        if vrrp is not None:
            self._keepalived.release()

    def go_on(self, spec: Spec, vrrp: str | None) -> None:
        """Write what the services need; HAProxy, which answers, is left as it runs. Raises PlumbingError."""
        self._write(spec, vrrp)
        if vrrp is not None:
            self._keepalived.release()
            self._supervise_keepalived()
            if self._keepalived.runs():
                self._keepalived.reload()
            else:
                # It lives, and could not write its process id: the disk was full.
                self._host.supervisor.replace(self._keepalived_name)

    def serve(self) -> bool:
        """Whether HAProxy is supervised, and answers."""
        return self._host.supervisor.has(self._haproxy_name) and self._haproxy.worker.answers()

    def end_keepalived(self) -> None:
        """It gives its VIPs to the other of the pair."""
        self._host.supervisor.stop(self._keepalived_name)

    def end(self) -> None:
        """End all of them, and their supervisors."""
        self._host.supervisor.forget(self._haproxy_name, self._keepalived_name)
        self._host.groups.kill(self._id)
        services_here = (self._directory.haproxy_service, self._directory.keepalived_service)
        self._host.supervisor.await_end(*(service for service in services_here if service.exists()))
        # A supervisor may have started its service once more before it heard that it is over.
        self._host.groups.kill(self._id)

    def _supervise_keepalived(self) -> None:
        self._host.supervisor.add(self._keepalived_name, self._directory.keepalived_service)
        self._host.supervisor.restart(self._keepalived_name)

    def _write(self, spec: Spec, vrrp: str | None) -> None:
        group, config = self._host.groups.make(self._id), self._host.config
        write_service(
            self._directory.haproxy_service,
            *services.haproxy(self._namespace, config.haproxy, group, tracked=vrrp is not None),
        )
        self._keepalived.write(spec, vrrp)
        if vrrp is not None:
            write_service(
                self._directory.keepalived_service, *services.keepalived(self._namespace, config.keepalived, group)
            )
