"""HTTP checks of UDP and SCTP pools: a request, and the status of its answer (contract 40, section 10).

Every method that the API takes is sent; the incumbent's checker knows only GET and checks nothing with another.
"""

import re

from livia.core.spec import MonitorSpec

#: an answer whose status line is longer is none
LONGEST_STATUS_LINE = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r?$)")


def request(monitor: MonitorSpec) -> bytes:
    """HTTP/1.1 when the monitor says so, with a Host header when it has a domain name; HTTP/1.0 otherwise."""
    modern = monitor.http_version == 1.1
    lines = [f"{monitor.http_method or 'GET'} {monitor.url_path or '/'} HTTP/{'1.1' if modern else '1.0'}"]
    if modern and monitor.domain_name is not None:
        lines.append(f"Host: {monitor.domain_name}")
    if modern:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def expected(codes: str, status: int) -> bool:
    """Whether `codes`, a list or a range whichever way it runs, has the status (contract 40, section 3.1)."""
    if "-" in codes:
        least, most = sorted(int(end) for end in codes.split("-"))
        return least <= status <= most
    return status in {int(code) for code in codes.split(",")}


def judge(monitor: MonitorSpec, answer: bytes, *, ended: bool) -> bool | None:
    """The verdict on what has come so far; None while the status line is not complete."""
    line, newline, _rest = answer.partition(b"\n")
    if not newline and not ended and len(answer) <= LONGEST_STATUS_LINE:
        return None
    found = _STATUS.match(line)
    return found is not None and expected(monitor.expected_codes or "200", int(found[1]))
