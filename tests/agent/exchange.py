"""One request and its answer, as a plain client has them."""

import socket


def fetch(address: str, path: str = "/", port: int = 80, headers: dict[str, str] | None = None) -> tuple[int, str]:
    try:
        with socket.create_connection((address, port), timeout=5) as stream:
            return exchange(stream, address, path, headers, close=True)
    except OSError:
        return 0, ""


def exchange(
    stream: socket.socket, host: str, path: str, headers: dict[str, str] | None, *, close: bool
) -> tuple[int, str]:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    if close:
        lines.append("Connection: close")
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = stream.recv(65536)
        if not chunk:
            raise ConnectionError("closed")
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    if "content-length" not in fields:
        while chunk := stream.recv(65536):
            body += chunk
    else:
        while len(body) < int(fields["content-length"]):
            body += stream.recv(65536)
    status = int(head.split()[1])
    return (status if fields.get("connection") != "close" or close else status + 1000), body.decode()


def still_answers(stream: socket.socket) -> bool:
    """Whether the member `one` answers one more request over a byte stream, which then has nothing under way."""
    stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    said = b""
    while not said.endswith(b"\r\n\r\none"):
        chunk = stream.recv(65536)
        said += chunk
        if not chunk:
            return False
    return True
