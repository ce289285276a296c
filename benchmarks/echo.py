"""Both ends of UDP round trips, as programs: `server ADDRESS FIRST COUNT` echoes on ports, `client ADDRESS PORT FLOWS
SECONDS` keeps one datagram of each flow under way and prints round trips per second and datagrams lost.
"""

import selectors
import socket
import sys
import time

_PAYLOAD = b"0123456789abcdef"
#: seconds after which a datagram is lost
_LOST = 0.5


def serve(address: str, first: int, count: int) -> None:
    """Echo for ever."""
    selector = selectors.DefaultSelector()
    for port in range(first, first + count):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((address, port))
        receiver.setblocking(False)
        selector.register(receiver, selectors.EVENT_READ, receiver)
    while True:
        for key, _events in selector.select():
            receiver = key.data
            try:
                while True:
                    data, peer = receiver.recvfrom(2048)
                    receiver.sendto(data, peer)
            except BlockingIOError:
                continue


def ask(address: str, port: int, flows: int, seconds: float) -> tuple[float, int]:
    """Round trips per second, and how many datagrams were lost."""
    selector = selectors.DefaultSelector()
    for _flow in range(flows):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect((address, port))
        sender.send(_PAYLOAD)
        selector.register(sender, selectors.EVENT_READ, sender)
    trips, lost = 0, 0
    last = dict.fromkeys((key.data for key in selector.get_map().values()), time.monotonic())
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        ready = selector.select(_LOST)
        for key, _events in ready:
            key.data.recv(2048)
            key.data.send(_PAYLOAD)
            last[key.data] = now
            trips += 1
        if not ready:
            for sender in last:
                lost += 1
                sender.send(_PAYLOAD)
    spent = time.monotonic() - started
    lost += sum(now - when > _LOST for when in last.values())
    for sender in last:
        sender.close()
    return trips / spent, lost


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        print(*ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
