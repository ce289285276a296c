"""What operations have beyond the contract, all of a kind alike (docs/extensions.md)."""

from livia.api.wire.operation import Operation, Parameter

DRY_RUN = Parameter(
    name="dry_run",
    schema={"type": "string", "enum": ["true", "false"]},
    about="With `true` everything is checked and answered as if it were done, and nothing is kept.",
    since=None,
)
IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    schema={"type": "string", "minLength": 1, "maxLength": 255},
    about="Any text for this request. Sent again within 24 hours, it is answered as before and done once.",
    where="header",
    since=None,
)
IF_MATCH = Parameter(
    name="If-Match",
    schema={"type": "string"},
    about="An ETag: change the object only if it is still this version of it.",
    where="header",
    since=None,
)
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    schema={"type": "string"},
    about="An ETag: answer 304 if the object is still this version of it.",
    where="header",
    since=None,
)


def has_etag(operation: Operation) -> bool:
    """Whether it is about a single object: its path ends in an id."""
    return operation.path.endswith("}")


def parameters(operation: Operation) -> tuple[Parameter, ...]:
    """Parameters beyond the operation's own."""
    if operation.method == "GET":
        return (IF_NONE_MATCH,) if has_etag(operation) else ()
    if operation.open:
        return ()
    condition = (IF_MATCH,) if has_etag(operation) else ()
    return (DRY_RUN, *condition, *((IDEMPOTENCY_KEY,) if operation.method == "POST" else ()))


def headers(operation: Operation) -> dict[str, str]:
    """Headers of the answer beyond the usual, and the components that describe them."""
    if operation.method == "POST":
        return {"Idempotency-Replayed": "Replayed"}
    return {"ETag": "ETag"} if has_etag(operation) and operation.method in ("GET", "PUT") else {}


def refusals(operation: Operation) -> set[int]:
    """Statuses that a write is refused with because of them."""
    return {412} if has_etag(operation) else {422} if operation.method == "POST" else set()
