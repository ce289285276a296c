"""The ids by which one change is found in every log and among the events.

Whoever begins something binds them to its log (structlog.contextvars); what is called over HTTP gets them as headers
and binds them to its own.
"""

import re

#: what a log line calls an id, to the header that takes it along
HEADERS = {"request_id": "X-Openstack-Request-Id", "reconcile_id": "X-Livia-Reconcile-Id"}

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def is_id(text: str) -> bool:
    """Whether a header has an id, and nothing that would spoil a log."""
    return _ID.fullmatch(text) is not None
