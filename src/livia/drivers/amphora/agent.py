"""The worker's side of the agent API: HTTPS with both certificates checked (design, section 7)."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import msgspec
import urllib3
from msgspec import Struct
from structlog.contextvars import get_contextvars
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.exceptions import TimeoutError as TimedOut

from livia.core.clock import Clock, SystemClock
from livia.core.credentials import Credentials, Renewal
from livia.core.drivers import DriverError, Placement, Unreachable
from livia.core.report import Applied, Held, Refused
from livia.core.spec import Assignment
from livia.core.trace import HEADERS
from livia.drivers.amphora import silence
from livia.drivers.amphora.mute import Mute, Prospect
from livia.pki.reloading import ReloadingContext
from livia.pki.sockets import ClosingSocket

_CERTIFICATE = "/v1/certificate"

_applied = msgspec.json.Decoder(Applied)
_held = msgspec.json.Decoder(tuple[Held, ...])
_credentials = msgspec.json.Decoder(Credentials)
_refused = msgspec.json.Decoder(Refused)
_SYSTEM = SystemClock()

#: seconds for the connection to an agent that is to remove an amphora, and for its answer
_PARTING_CONNECT = 2.0
_PARTING_READ = 15.0
#: seconds for the first answer of one that did not answer others
_PROBE_READ = 5.0
#: one more try: a kept connection may have been closed by a restarted agent. Verbs are idempotent
_ONE_MORE = urllib3.Retry(total=1, backoff_factor=0, allowed_methods=None, raise_on_status=False)


class AgentTls(Struct, frozen=True, kw_only=True):
    """`certificate`: PEM of our certificate and key; `server_ca`: PEM of the authority of agents."""

    certificate: Path
    server_ca: Path


class _UnlessTimedOut(urllib3.Retry):
    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if error is not None and _pool is not None and _lost_time(error):
            raise MaxRetryError(_pool, str(url), error) from error
        return super().increment(method, url, response, error, _pool, _stacktrace)


#: the same, where nobody waits for the answer
_ONE_MORE_IF_QUICK = _UnlessTimedOut(total=1, backoff_factor=0, allowed_methods=None, raise_on_status=False)


class Agents:
    """An AmphoraDriver, an AgentDriver and an AgentInventory. Connections are kept open until a certificate is renewed;
    timeouts in seconds."""

    def __init__(
        self, tls: AgentTls, *, connect_timeout: float = 10.0, read_timeout: float = 60.0, clock: Clock = _SYSTEM
    ) -> None:
        self._reloading = ReloadingContext((tls.certificate, tls.server_ca), lambda: _context(tls))
        self._context = self._reloading.current()
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        # Whose host died is removed in vain: hundreds of them must not hold the worker's threads for long.
        self._parting = urllib3.Timeout(
            connect=min(connect_timeout, _PARTING_CONNECT), read=min(read_timeout, _PARTING_READ)
        )
        self._probing = urllib3.Timeout(
            connect=min(connect_timeout, _PARTING_CONNECT), read=min(read_timeout, _PROBE_READ)
        )
        self._mute = Mute(clock)
        self._pools: dict[Placement, urllib3.HTTPSConnectionPool] = {}
        self._lock = Lock()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        body = msgspec.json.encode(assignment)
        with self._call(placement, urgent=True):
            answer = self._request(placement, "PUT", _path(assignment.spec.amphora_id), body)
        return _applied.decode(answer.data)

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        answer = self._request(placement, "GET", _path(amphora_id), absent=True)
        return None if answer.status == 404 else _applied.decode(answer.data)

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        path = f"{_path(amphora_id)}?fence={fence}"
        with self._call(placement, urgent=False):
            self._request(placement, "DELETE", path, absent=True, timeout=self._parting, retries=_ONE_MORE_IF_QUICK)

    def inventory(self, placement: Placement) -> tuple[Held, ...] | None:
        answer = self._request(placement, "GET", "/v1/inventory", absent=True)
        return None if answer.status == 404 else _held.decode(answer.data)

    def credentials(self, placement: Placement) -> Credentials | None:
        """None: the agent is of a version that does not tell."""
        # Over a connection of its own: what new ones are served with is the question.
        self._forget(placement)
        answer = self._request(placement, "GET", _CERTIFICATE, absent=True)
        return None if answer.status == 404 else _credentials.decode(answer.data)

    def renew(self, placement: Placement, renewal: Renewal) -> Credentials:
        answer = self._request(placement, "PUT", _CERTIFICATE, msgspec.json.encode(renewal))
        return _credentials.decode(answer.data)

    @contextmanager
    def _call(self, placement: Placement, *, urgent: bool) -> Iterator[None]:
        """Something is to be changed. Raises Unreachable at once where others wait for the agent in vain."""
        prospect = self._mute.prospect(placement, urgent=urgent)
        if prospect is Prospect.NONE:
            raise Unreachable(f"The agent at {_address(placement)} did not answer a moment ago.")
        if prospect is Prospect.UNKNOWN:
            self._probe(placement)
        call, timed_out = self._mute.begin(placement), False
        try:
            yield
        except Unreachable as error:
            timed_out = _timed_out(error)
            raise
        finally:
            self._mute.end(placement, call, timed_out=timed_out)

    def _probe(self, placement: Placement) -> None:
        """Find out whether a mute agent answers again. Raises Unreachable."""
        # Over a connection of its own: those of before may lead nowhere.
        self._forget(placement)
        timed_out = False
        try:
            self._request(
                placement, "GET", _CERTIFICATE, absent=True, timeout=self._probing, retries=_ONE_MORE_IF_QUICK
            )
        except Unreachable as error:
            timed_out = _timed_out(error)
            raise
        finally:
            self._mute.probed(placement, timed_out=timed_out)

    def _request(
        self,
        placement: Placement,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        absent: bool = False,
        timeout: urllib3.Timeout | None = None,
        retries: urllib3.Retry = _ONE_MORE,
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool(placement).request(
                method,
                path,
                body=body,
                headers={"Content-Type": "application/json", **_ids()},
                timeout=timeout or self._timeout,
                retries=retries,
            )
        except HTTPError as error:
            raise Unreachable(silence.sentence(_address(placement), error)) from error
        if answer.status >= 400 and not (absent and answer.status == 404):
            raise _refusal(answer)
        return answer

    def _forget(self, placement: Placement) -> None:
        with self._lock:
            self._pools.pop(placement, None)

    def _pool(self, placement: Placement) -> urllib3.HTTPSConnectionPool:
        context = self._reloading.current()
        with self._lock:
            if context is not self._context:
                # Requests under way end on the old connections; the next ones are made with the new certificates.
                self._context = context
                self._pools.clear()
            pool = self._pools.get(placement)
            if pool is None:
                pool = urllib3.HTTPSConnectionPool(
                    placement.address,
                    placement.agent_port,
                    maxsize=16,
                    timeout=self._timeout,
                    ssl_context=self._context,
                    # The certificate names the agent, not its address.
                    assert_hostname=placement.agent_name,
                    server_hostname=placement.agent_name,
                )
                self._pools[placement] = pool
            return pool


def _ids() -> dict[str, str]:
    """The ids of what is being done, for the agent's log."""
    bound = get_contextvars()
    return {header: str(bound[name]) for name, header in HEADERS.items() if bound.get(name)}


def _context(tls: AgentTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.server_ca))
    context.sslsocket_class = ClosingSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(str(tls.certificate))
    return context


def _address(placement: Placement) -> str:
    return f"{placement.address}:{placement.agent_port}"


def _timed_out(error: Unreachable) -> bool:
    """Whether time was lost on it: a connection that is refused costs none."""
    cause = error.__cause__
    return _lost_time(cause.reason if isinstance(cause, MaxRetryError) else cause)


def _lost_time(reason: BaseException | None) -> bool:
    # urllib3 counts refused connections among those that timed out.
    return isinstance(reason, TimedOut) and not isinstance(reason, NewConnectionError)


def _path(amphora_id: str) -> str:
    return f"/v1/amphorae/{amphora_id}"


def _refusal(answer: urllib3.BaseHTTPResponse) -> DriverError:
    try:
        refused = _refused.decode(answer.data)
    except msgspec.DecodeError:
        return DriverError(f"The agent answered {answer.status}.", code="agent_error", status=answer.status)
    message = f"{refused.message} {refused.details}".strip()
    return DriverError(message, code=refused.code, status=answer.status)
