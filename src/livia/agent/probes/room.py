"""The sockets of one amphora's checks, all inside its namespace."""

import socket

from livia.agent.probes.channel import Channel, family
from livia.agent.probes.ping import PingChannel
from livia.agent.probes.sctp import SctpChannel
from livia.agent.probes.stream import Stream
from livia.agent.probes.udp import UdpChannel
from livia.agent.probes.watch import Target, Watch
from livia.core.model.pool import MonitorType

_CHANNELS: dict[MonitorType, type[PingChannel] | type[UdpChannel] | type[SctpChannel]] = {
    MonitorType.PING: PingChannel,
    MonitorType.UDP_CONNECT: UdpChannel,
    MonitorType.SCTP: SctpChannel,
}


class Room:
    """Opened while its amphora is watched. A namespace lives as long as a socket in it: `close` before it shall go."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._channels: dict[tuple[MonitorType, socket.AddressFamily], Channel] = {}
        self._streams: dict[Target, Stream] = {}

    def channel(self, target: Target) -> Channel | None:
        """The open channel for such checks."""
        return self._channels.get(_kind(target))

    def open_channel(self, target: Target) -> Channel | None:
        """The channel for such checks, opened in the calling thread's namespace; None for those that have
        connections of their own. Raises OSError."""
        make = _CHANNELS.get(target.place.type)
        if make is None:
            return None
        kind = _kind(target)
        opened = self._channels.get(kind)
        if opened is None:
            opened = self._channels[kind] = make(kind[1])
        return opened

    def open_stream(self, target: Target) -> Stream:
        """A connection in the calling thread's namespace. Raises OSError."""
        stream = self._streams[target] = Stream(target)
        return stream

    def drop(self, target: Target) -> Stream | None:
        """The check is over; returns the connection that it had, for the caller to close."""
        channel = self._channels.get(_kind(target))
        if channel is not None:
            channel.drop(target)
        return self._streams.pop(target, None)

    def forget(self, target: Target) -> Stream | None:
        """The member is gone; as `drop`."""
        channel = self._channels.get(_kind(target))
        if channel is not None:
            channel.forget(target)
        return self._streams.pop(target, None)

    def close(self) -> None:
        """Close every socket."""
        for channel in self._channels.values():
            channel.close()
        for stream in self._streams.values():
            stream.close()
        self._channels.clear()
        self._streams.clear()


def _kind(target: Target) -> tuple[MonitorType, socket.AddressFamily]:
    return target.place.type, family(target.place.address)
