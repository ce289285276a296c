"""Takes key material out of what programs say, before it reaches a log, an answer or an exception."""

import re

_BLOCK = re.compile(r"-----BEGIN [^-\n]*-----.*?(?:-----END [^-\n]*-----|\Z)", re.DOTALL)
#: a line of a PEM body (RFC 7468, section 2), also a cut one
_BODY = re.compile(r"^\s*[A-Za-z0-9+/]{24,}={0,2}\s*$", re.MULTILINE)


def without_keys(text: str) -> str:
    """`text` with every PEM block, and every line that could be of one, left out."""
    return _BODY.sub("(left out)", _BLOCK.sub("(PEM left out)", text))
