"""Why an agent could not be asked, for people: what urllib3 says is about its own connections."""

import ssl

from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError, ReadTimeoutError


def sentence(address: str, error: HTTPError) -> str:
    """What is the matter with the agent at an address, or with our certificates; `error`: what came of asking it."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    found = _innermost(cause)
    if isinstance(found, ssl.SSLCertVerificationError):
        return (
            f"The agent at {address} has a certificate that is not taken ({found.verify_message}): see "
            "[haproxy_amphora] server_ca and the agent's certificate."
        )
    if isinstance(found, ssl.SSLError):
        # With TLS 1.3 it may be gone before its reason is read.
        return (
            f"The agent at {address} broke TLS off ({found.reason or 'without a reason'}), as one does that does not "
            "know the authority of [haproxy_amphora] client_cert."
        )
    return f"The agent at {address} did not answer: {_plain(cause, found)}."


def _plain(cause: Exception, found: BaseException) -> str:
    # urllib3 counts refused connections among those that timed out.
    if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
        return "it takes no connection"
    if isinstance(cause, ReadTimeoutError):
        return "it took the connection and said nothing in time"
    said = found.strerror if isinstance(found, OSError) else None
    return said or str(found) or type(found).__name__


def _innermost(error: BaseException) -> BaseException:
    """What an error was raised from, or has in its arguments, at its very beginning."""
    seen = {id(error)}
    while True:
        inner = [each for each in (error.__cause__, *error.args) if isinstance(each, BaseException)]
        further = next((each for each in inner if id(each) not in seen), None)
        if further is None:
            return error
        seen.add(id(further))
        error = further
