"""Regular expressions of L7 rules: Python's, as far as PCRE2 reads them as well, which HAProxy is built with.

What Python compiles and PCRE2 does not (pcre2pattern(3), pcre2limits(3)) is refused with the reason. Everywhere else
the two agree about what an expression is.
"""

import re

#: bytes of a compiled expression (pcre2limits(3), LINK_SIZE 2), less what its frame needs
_MOST_BYTES = 60000
#: more than PCRE2 makes of one character: a class of four has 33
_BYTES_PER_CHARACTER = 12
_CLASSES = "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
#: what PCRE2 takes for a POSIX class, wherever it stands
_POSIX = re.compile(r"\[([:.=])((?:\\[\]\\]|[^\]\[]|\[(?!\1))*?)\1\]")
_KNOWN = re.compile(rf":\^?(?:{_CLASSES}):")
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_LOOK_BEHIND = re.compile(r"\(\?<[=!]")
_NAMED = re.compile(r"\(\?P<([^>]*)>")
_FLAGS = re.compile(r"\(\?[A-Za-z]*[aLu]")
#: what `(?` and letters are followed by in a group
_OPENING = re.compile(r"\(\?[A-Za-z-]*[:)]|\(\?[=!>]|\(\?<[=!]|\(\?P[<=]")
_COUNT = re.compile(r"(?:\s|\(\?#[^)]*\))*\{([0-9]*)(?:,([0-9]*))?\}")


def expression_problem(text: str) -> str | None:
    """Why `text` cannot be an expression that requests are compared with; None when it can."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"Unable to parse regular expression: {error}"
    problem = _Reading(text).problem()
    if problem is not None:
        return f"Unable to parse regular expression: the data plane's are PCRE2 ones, {problem}"
    return None


class _Reading:
    """Goes once through an expression that Python has compiled."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        #: of each open group the bytes of what is in it so far, and whether it looks behind
        self._groups: list[tuple[int, bool]] = [(0, False)]

    def problem(self) -> str | None:
        """What PCRE2 would not read."""
        while self._at < len(self._text):
            start = self._at
            problem = self._step()
            if problem is not None:
                return problem
            self._grow(_BYTES_PER_CHARACTER * (self._at - start))
        while len(self._groups) > 1:
            self._close(1)
        return "of which repetitions of groups make too large a one" if self._groups[0][0] > _MOST_BYTES else None

    def _step(self) -> str | None:
        character = self._text[self._at]
        if character == "\\":
            self._at += 2
            return "which have no \\N, \\u and \\U" if self._text[self._at - 1 : self._at] in "NuU" else None
        if character == "[":
            return self._class()
        if character == "(":
            return self._open()
        count = _COUNT.match(self._text, self._at)
        if character in "*+?" or count is not None:
            return self._repetition(count)
        self._at += 1
        if character == ")":
            return self._end()
        return None

    def _class(self) -> str | None:
        """From the opening bracket to the closing one, of which the first can be a member."""
        if _POSIX.match(self._text, self._at):
            return "in which [: :], [. .] and [= =] stand within brackets only"
        self._at += 2 if self._text.startswith("[^", self._at) else 1
        first = self._at
        while self._at < len(self._text) and (self._text[self._at] != "]" or self._at == first):
            posix = _POSIX.match(self._text, self._at)
            if posix is not None and not _KNOWN.fullmatch(self._text[posix.start() + 1 : posix.end() - 1]):
                return f"which have no class {posix[0]}"
            if self._text[self._at] == "\\":
                if self._text[self._at + 1] in "NuU":
                    return "which have no \\N, \\u and \\U"
                if self._text.startswith("v-", self._at + 1):
                    return "in which \\v is several characters, and begins no range"
                self._at += 1
            self._at = posix.end() if posix is not None else self._at + 1
        self._at += 1
        return None

    def _open(self) -> str | None:
        comment = _COMMENT.match(self._text, self._at)
        if comment is not None:
            self._at = comment.end()
            return None
        if _FLAGS.match(self._text, self._at):
            return "which have no flags a, L and u"
        named = _NAMED.match(self._text, self._at)
        if named is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,31}", named[1]):
            return "with names of at most 32 ASCII characters"
        ahead = self._text.startswith(("(?=", "(?!"), self._at)
        behind = not ahead and (self._groups[-1][1] or bool(_LOOK_BEHIND.match(self._text, self._at)))
        self._groups.append((0, behind))
        opening = named or _OPENING.match(self._text, self._at)
        self._at = opening.end() if opening is not None else self._at + (2 if self._text[self._at + 1] == "?" else 1)
        if self._text[self._at - 1] == ")":
            # Flags, or a reference by name up to its end, which comes.
            self._close(1)
        return None

    def _repetition(self, count: "re.Match[str] | None") -> str | None:
        least, most = (count[1], count[2]) if count is not None else ("", "")
        if any(len(each.lstrip("0")) > 4 for each in (least, most or "")):
            return "which repeat less than 10000 times"
        if self._groups[-1][1] and (count is None or (most is not None and most != least)):
            return "which look behind over what is not repeated a fixed number of times"
        self._at = count.end() if count is not None else self._at + 1
        return None

    def _end(self) -> str | None:
        count = _COUNT.match(self._text, self._at)
        times = max([1, *(int(each[:9]) for each in count.groups() if each)]) if count is not None else 1
        self._close(times)
        return None

    def _close(self, times: int) -> None:
        if len(self._groups) > 1:
            size, _behind = self._groups.pop()
            self._grow((size + _BYTES_PER_CHARACTER) * times)

    def _grow(self, size: int) -> None:
        before, behind = self._groups[-1]
        self._groups[-1] = (before + size, behind)
