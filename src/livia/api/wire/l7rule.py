"""L7 rules on the wire (contract 50, section 2)."""

from typing import Any

from livia.api.wire import common
from livia.api.wire.attribute import Attribute, Null, Resource
from livia.api.wire.kinds import Boolean, Choice, Kind, Text
from livia.core.model.l7 import CompareType, RuleType

#: no line breaks: what is compared stays one word of the data plane's configuration
_ONE_LINE = Text(255, r"[^\r\n]*")


def _changeable(name: str, kind: Kind, about: str, **more: Any) -> Attribute:
    return Attribute(name=name, kind=kind, create=True, update=True, filtered=True, sorted=True, about=about, **more)


def _mandatory(name: str, kind: Kind, about: str) -> Attribute:
    return _changeable(name, kind, about, required=True, on_create_null=Null.REFUSE, on_update_null=Null.REFUSE)


L7RULE = Resource(
    item="rule",
    collection="rules",
    argument="rule_",
    update_argument="l7rule_",
    rule="l7rule",
    attributes=(
        common.ID,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        _mandatory("type", Choice(tuple(RuleType)), "What of a request is looked at."),
        _mandatory(
            "compare_type",
            Choice(tuple(CompareType)),
            "How it is compared; FILE_TYPE knows REGEX and EQUAL_TO, SSL_CONN_HAS_CERT and SSL_VERIFY_RESULT only "
            "EQUAL_TO.",
        ),
        _changeable(
            "key",
            _ONE_LINE,
            "The name of the header, cookie or field of the client certificate's subject, for HEADER, COOKIE and "
            "SSL_DN_FIELD.",
        ),
        _mandatory(
            "value",
            _ONE_LINE,
            "What it is compared with. Text with spaces stands between double quotes, which do not count.",
        ),
        _changeable(
            "invert",
            Boolean(),
            "Whether the rule is met by what does not compare so.",
            default=False,
            on_update_null=False,
        ),
        common.TAGS,
        *common.project(),
        *common.TIMES,
    ),
    more_filters={"l7policy_id": "l7policy_id"},
)
