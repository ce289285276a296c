"""HAProxy configuration as words: quoting happens here and nowhere else (HAProxy manual, section 2.2)."""

import re

from msgspec import Struct

from livia.agent.errors import InvalidSpecError

_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@=%+!\[\]()-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: HAProxy reads files with lines of any length, and commands of one buffer (tune.bufsize, 16384 bytes)
_MOST_BYTES = 15000
#: its limit on one line, MAX_LINE_ARGS
_MOST_WORDS = 64


def word(text: str) -> str:
    """`text` as one word of a line, whatever is in it. Raises InvalidSpecError for control characters but tabs."""
    if _CONTROL.search(text):
        raise InvalidSpecError(f"{text[:80]!r} contains control characters.")
    if _PLAIN.fullmatch(text):
        return text
    # Nothing is special inside single quotes, and the quote itself is escaped outside of them. Inside double quotes
    # three characters are escaped. The shorter form leaves more room on the line.
    single = "'" + text.replace("'", "'\\''") + "'"
    double = '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'
    return min(single, double, key=len)


def quoted_argument(text: str) -> str:
    """A string without `"` as an argument of a sample fetch, which HAProxy parses a second time."""
    return f'"{text}"'


def line(*words: str | int) -> str:
    """One directive. Raises InvalidSpecError when HAProxy could not read it as one line."""
    texts = [str(each) for each in words]
    # Most lines have nothing to quote: one look at all of it instead of one at each word.
    if "" not in texts and _PLAIN.fullmatch("".join(texts)):
        text = " ".join(texts)
    else:
        text = " ".join(word(each) for each in texts)
    if len(words) > _MOST_WORDS or len(text.encode()) > _MOST_BYTES:
        raise InvalidSpecError(f"'{text[:80]}...' is too long for a line of HAProxy's configuration.")
    return text


class Section(Struct, frozen=True):
    """A section of the file: its head, and its directives in order."""

    head: str
    lines: tuple[str, ...]

    def text(self) -> str:
        return "\n  ".join((self.head, *self.lines)) + "\n"
