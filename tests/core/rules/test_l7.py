"""L7 rules and policies by value: every type with every compare type, and characters (contract 50, section 2.3)."""

import pytest

from livia.core.model.l7 import CompareType, RuleType
from livia.core.rules import l7
from livia.core.rules.verdict import ACCEPT, Refuse

#: a key and a value that each type takes with every compare type it has
FINE = {
    "HOST_NAME": (None, "a.net"),
    "PATH": (None, "/a"),
    "FILE_TYPE": (None, "jpg"),
    "HEADER": ("X-A", "v"),
    "COOKIE": ("c", "v"),
    "SSL_CONN_HAS_CERT": (None, "True"),
    "SSL_VERIFY_RESULT": (None, "10"),
    "SSL_DN_FIELD": ("CN", "v"),
}
ONLY = {
    "FILE_TYPE": {"REGEX", "EQUAL_TO"},
    "SSL_CONN_HAS_CERT": {"EQUAL_TO"},
    "SSL_VERIFY_RESULT": {"EQUAL_TO"},
}


def _judge(kind: str, compare: str, key: str | None, value: str) -> str | None:
    verdict = l7.rule_acceptable({"type": kind, "compare_type": compare, "key": key, "value": value})
    if verdict == ACCEPT:
        return None
    assert isinstance(verdict, Refuse)
    assert verdict.status == 400
    return verdict.text


def test_compare_types() -> None:
    assert set(FINE) == set(RuleType)
    for kind, (key, value) in FINE.items():
        for compare in CompareType:
            text = _judge(kind, compare, key, value)
            assert (text is None) is (compare in ONLY.get(kind, set(CompareType))), (kind, compare)
            assert text is None or "invalid comparison type" in text


TOKEN = "!#$%&'*+,-.^_`|~aZ09"
#: type, compare type, key, value, whether they go together
CHARACTERS: list[tuple[str, str, str | None, str, bool]] = [
    *((kind, "EQUAL_TO", TOKEN, "v", True) for kind in ("HEADER", "COOKIE")),
    *((kind, "EQUAL_TO", key, "v", False) for kind in ("HEADER", "COOKIE") for key in ("a:", 'a"', "é", "a(", "a\t")),
    *(("SSL_DN_FIELD", "EQUAL_TO", key, "v", fine) for key, fine in (("OU-1", True), ("-O", False), ("C N", False))),
    *(
        (kind, "EQUAL_TO", "k", value, fine)
        for kind in ("HOST_NAME", "PATH", "FILE_TYPE", "HEADER")
        for value, fine in (
            ("".join(map(chr, range(0x21, 0x7F))), True),
            ('"a b\tc\\"', True),
            ('""', True),
            ("a b", False),
            ('"a b', False),
            ("é", False),
            ('"é"', False),
            ("a\x7f", False),
        )
    ),
    *(
        ("COOKIE", "EQUAL_TO", "k", value, fine)
        for value, fine in (("a,b=(c)/'{}", True), ("a b", False), ('"a"', False), ("a;", False), ("a\\", False))
    ),
    ("SSL_DN_FIELD", "EQUAL_TO", "CN", 'é "; \\', True),
    ("SSL_DN_FIELD", "EQUAL_TO", "CN", "a\x01", False),
    *(
        ("SSL_VERIFY_RESULT", "EQUAL_TO", None, value, fine)
        for value, fine in (("0", True), ("x", False), ("²", False))
    ),
    *(("SSL_CONN_HAS_CERT", "EQUAL_TO", None, value, fine) for value, fine in (("TRUE", True), ("1", False))),
    ("PATH", "REGEX", None, "a b\té(?P<x>y)(?i:z)", True),
    ("COOKIE", "REGEX", "k", 'a; "b\\\\u"', True),
    *(
        ("PATH", "REGEX", None, value, False)
        for value in (
            "(",
            "*a",
            "[b-a]",
            "\\u0041",
            "\\N{DASH}",
            "(?a)x",
            "a{10000}",
            "(?P<ü>x)",
            "a\x01",
            "a{99999999999}",
        )
    ),
]


@pytest.mark.parametrize("kind, compare, key, value, fine", CHARACTERS)
def test_characters(kind: str, compare: str, key: str | None, value: str, fine: bool) -> None:
    text = _judge(kind, compare, key, value)
    assert (text is None) is fine, text
    assert text is None or text.startswith("Error parsing L7Rule: ")


#: an expression of Python's, and whether PCRE2 has it too
EXPRESSIONS: list[tuple[str, bool]] = [
    ("[[:alpha:]_]", True),
    ("[[:foo:]]", False),
    ("a[:alpha:]", False),
    ("[[.a.]]", False),
    ("[x[=a=]]", False),
    (r"[\v-b]", False),
    (r"\(?a\(?u", True),
    (r"[(?a]\\u", True),
    ("([a-z]+){9999}", False),
    ("((a{1,99}){1,99}){1,99}", False),
    ("([0-9]{1,3}[.]){3}[0-9]{1,3}(:[0-9]{1,5})?", True),
    ("(?<=a{2})b+", True),
    ("(?<=()+)b", False),
    ("(?<=(?=a+))b", True),
]


@pytest.mark.parametrize("value, fine", EXPRESSIONS)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_expressions_are_of_both_kinds(value: str, fine: bool) -> None:
    text = _judge("PATH", "REGEX", None, value)
    assert (text is None) is fine, text
