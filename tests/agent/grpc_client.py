"""A gRPC client as a program, for its sockets are made by threads of the library's own: run it inside a namespace.

Arguments: target, and the file of the authority to trust or "-" for no TLS. Prints what each call came to, as JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

SERVICE = "livia.Talk"


def _channel(target: str, authority: str) -> grpc.Channel:
    if authority == "-":
        return grpc.insecure_channel(target)
    credentials = grpc.ssl_channel_credentials(root_certificates=Path(authority).read_bytes())
    return grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", "www.example.net")])


def _code(call: Any) -> str:
    return str(call.code().name)


def _unary(channel: grpc.Channel) -> dict[str, Any]:
    call = channel.unary_unary(f"/{SERVICE}/Echo")
    reply, done = call.with_call(b"hello" * 20000, metadata=(("x-asked", "yes"),), timeout=10)
    trailers = dict(done.trailing_metadata() or ())
    return {"length": len(reply), "trailer": trailers.get("x-seen"), "code": _code(done)}


def _failure(channel: grpc.Channel) -> dict[str, Any]:
    try:
        channel.unary_unary(f"/{SERVICE}/Fail")(b"", timeout=10)
    except grpc.RpcError as error:
        call: Any = error
        return {"code": _code(call), "details": call.details()}
    return {}


def _both_ways(channel: grpc.Channel) -> list[str]:
    """Each message is sent when the one before has come back."""
    turn = threading.Semaphore(1)

    def messages() -> Iterator[bytes]:
        for number in range(20):
            turn.acquire()
            yield str(number).encode()

    heard = []
    for message in channel.stream_stream(f"/{SERVICE}/Talk")(messages(), timeout=10):
        heard.append(message.decode())
        turn.release()
    return heard


def _deadline(channel: grpc.Channel) -> str:
    try:
        channel.unary_unary(f"/{SERVICE}/Sleep")(b"deadline", timeout=0.5)
    except grpc.RpcError as error:
        call: Any = error
        return _code(call)
    return ""


def _cancel(channel: grpc.Channel) -> str:
    call = channel.unary_stream(f"/{SERVICE}/Stream")(b"cancel", timeout=10)
    next(call)
    call.cancel()
    deadline = time.monotonic() + 5
    while not call.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return _code(call)


def main(target: str, authority: str) -> None:
    with _channel(target, authority) as channel:
        calls = (_unary, _failure, _both_ways, _deadline, _cancel)
        print(json.dumps({call.__name__.lstrip("_"): call(channel) for call in calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
