"""L7 policies on the wire (contract 50, section 1)."""

from typing import Any

from msgspec.structs import replace

from livia.api.wire import common, schemas
from livia.api.wire.attribute import Attribute, Nested, Null, Resource
from livia.api.wire.kinds import LARGEST_INTEGER, Choice, Integer, Kind, Url, Uuid
from livia.api.wire.l7rule import L7RULE
from livia.core.model.l7 import REDIRECT_CODES, Action


def _pool() -> Resource:
    from livia.api.wire.pool import POOL

    return POOL


def _changeable(name: str, kind: Kind, about: str, **more: Any) -> Attribute:
    return Attribute(name=name, kind=kind, create=True, update=True, filtered=True, sorted=True, about=about, **more)


L7POLICY = Resource(
    item="l7policy",
    collection="l7policies",
    argument="l7policy_",
    attributes=(
        common.ID,
        common.NAME,
        common.DESCRIPTION,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        Attribute(
            name="listener_id",
            kind=Uuid(),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="The listener whose requests the policy looks at.",
        ),
        _changeable(
            "action",
            Choice(tuple(Action)),
            "What becomes of a request that meets all enabled rules: it is rejected with 403, redirected, or sent to "
            "another pool. REJECT comes before the redirects, and these before REDIRECT_TO_POOL; `position` decides "
            "among policies of one kind.",
            required=True,
            on_create_null=Null.REFUSE,
        ),
        _changeable("redirect_pool_id", Uuid(), "The pool that requests go to, for REDIRECT_TO_POOL."),
        Attribute(
            name="redirect_pool",
            kind=Nested(_pool, as_given=True),
            create=True,
            shown=False,
            about="A whole pool that requests go to, or with only a `name` one of the same request. Only within the "
            "POST of a load balancer, in place of `redirect_pool_id`.",
        ),
        _changeable(
            "redirect_url", Url(), "The absolute URL that clients are redirected to as it is, for REDIRECT_TO_URL."
        ),
        _changeable(
            "redirect_prefix",
            Url(),
            "The absolute URL to which path and query of the request are appended, for REDIRECT_PREFIX.",
        ),
        _changeable(
            "redirect_http_code",
            Integer(among=REDIRECT_CODES),
            "The HTTP status code of a redirect to a URL or prefix; 302 unless given.",
            since="2.9",
        ),
        _changeable(
            "position",
            Integer(1),
            "The place among the listener's policies, from 1; beyond the end means the last.",
            default=LARGEST_INTEGER,
        ),
        Attribute(
            name="rules",
            kind=Nested(lambda: L7RULE, many=True),
            create=True,
            default=[],
            render=common.references,
            shows=schemas.REFERENCES,
            about="The rules, all of which a request must meet.",
        ),
        # Null changes nothing, and yet it is not a request that sets nothing (contract 50, section 1.3).
        replace(common.TAGS, on_update_null=Null.CLEAR),
        *common.project(),
        *common.TIMES,
    ),
    nested_without=frozenset({"listener_id", "redirect_pool_id"}),
    nested_only=frozenset({"redirect_pool"}),
)
