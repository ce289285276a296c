"""Why the agent does not do what it was asked to."""


class RefusalError(Exception):
    """A spec or request that cannot be carried out. `code`: as in `livia.core.report.Refused`; `status`: HTTP."""

    def __init__(self, code: str, message: str, *, details: str = "", status: int = 500) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.status = status


class InvalidSpecError(RefusalError):
    """The spec asks for something that this agent cannot make, or that makes no sense."""

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__("invalid_spec", message, details=details, status=400)


class StaleFenceError(RefusalError):
    """Somebody with a newer lease has been here."""

    def __init__(self, given: int, seen: int) -> None:
        super().__init__("stale_fence", f"Fence {given} is older than {seen}, which was seen before.", status=409)


class RemovedError(RefusalError):
    """The amphora was removed under this very lease: what comes now was asked for before, and is late."""

    def __init__(self, fence: int) -> None:
        super().__init__(
            "stale_fence", f"The amphora was removed under fence {fence}, which ends with that.", status=409
        )


class HaproxyRefusedError(RefusalError):
    """HAProxy does not take the configuration; `details` is what it said."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__("haproxy_refused", message, details=details, status=422)


class PlumbingError(RefusalError):
    """The kernel or a program did not make what the network of an amphora needs."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__("plumbing_failed", message, details=details, status=500)
