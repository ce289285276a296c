"""TLS sockets that nobody has to collect."""

import errno
import ssl
from typing import Any


class ClosingSocket(ssl.SSLSocket):
    """The socket of a connection whose other side went away before it was wrapped is closed, not left to the garbage
    collector: `wrap_socket` takes the file descriptor, raises, and hands out nothing to close.

    For `SSLContext.sslsocket_class`.
    """

    def getpeername(self) -> Any:
        """The other side's address. Without one the socket is closed; raises ConnectionResetError."""
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "the other side went away") from error
