"""A client's connection of HTTP/2 that takes a GOAWAY for what it is (RFC 9113, section 6.8): streams up to the last
one that it names are still answered, the others may be asked again elsewhere."""

import socket
import ssl
import struct
from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

_GOAWAY = 7
_FRAME_HEAD = 9


class Http2Error(Exception):
    """A request without its answer."""


class Http2Connection:
    """One connection over TLS. `ending`: the server told that it takes no more streams."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext, name: str, patience: float) -> None:
        """Raises OSError, or Http2Error when the server does not choose h2."""
        self._name = name
        self._last_stream: int | None = None
        self._pending = b""
        self._answers: dict[int, tuple[int, str]] = {}
        self._ended: set[int] = set()
        plain = socket.create_connection((address, port), timeout=patience)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise
        try:
            if self._socket.selected_alpn_protocol() != "h2":
                raise Http2Error("h2 was not chosen")
            self._protocol = H2Connection(H2Configuration(client_side=True, header_encoding=None))
            self._protocol.initiate_connection()
            self._flush()
        except BaseException:
            self.close()
            raise

    @property
    def ending(self) -> bool:
        return self._last_stream is not None

    def get(self, paths: list[str]) -> dict[str, tuple[int, str]]:
        """Ask for all of them at once; status and text by path, without those that the server did not take.

        Raises OSError or Http2Error when one of the others has no answer.
        """
        streams = {self._send(path): path for path in paths}
        while unanswered := [stream for stream in streams if self._processed(stream) and stream not in self._ended]:
            data = self._socket.recv(65536)
            if not data:
                if self._last_stream is None:
                    raise Http2Error("the connection was closed without a GOAWAY")
                raise Http2Error(f"the connection was closed with {len(unanswered)} streams unanswered")
            for event in self._events(data):
                self._heed(event)
            self._flush()
        return {path: self._answers.pop(stream) for stream, path in streams.items() if self._processed(stream)}

    def close(self) -> None:
        self._socket.close()

    def _send(self, path: str) -> int:
        stream = self._protocol.get_next_available_stream_id()
        head = {":method": "GET", ":path": path, ":scheme": "https", ":authority": self._name}
        self._protocol.send_headers(stream, list(head.items()), end_stream=True)
        self._flush()
        return stream

    def _processed(self, stream: int) -> bool:
        return self._last_stream is None or stream <= self._last_stream

    def _events(self, data: bytes) -> list[Event]:
        """h2 reads nothing after a GOAWAY, so those are taken out before."""
        self._pending += data
        events: list[Event] = []
        while len(self._pending) >= _FRAME_HEAD:
            end = _FRAME_HEAD + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < end:
                break
            frame, self._pending = self._pending[:end], self._pending[end:]
            if frame[3] == _GOAWAY:
                self._last_stream, code = struct.unpack_from("!II", frame, _FRAME_HEAD)
                if code != ErrorCodes.NO_ERROR:
                    raise Http2Error(f"GOAWAY with error code {code}")
            else:
                events += self._protocol.receive_data(frame)
        return events

    def _heed(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=int(stream), headers=headers):
                self._answers[stream] = _status(headers or []), ""
            case DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(length)):
                status, text = self._answers[stream]
                self._answers[stream] = status, text + data.decode()
                self._protocol.acknowledge_received_data(length, stream)
            case StreamEnded(stream_id=int(stream)):
                self._ended.add(stream)
            case StreamReset(stream_id=stream, error_code=code):
                raise Http2Error(f"stream {stream} was reset with error code {code}")

    def _flush(self) -> None:
        data = self._protocol.data_to_send()
        if data:
            self._socket.sendall(data)


def _status(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return next(int(value) for name, value in headers if name == b":status")
