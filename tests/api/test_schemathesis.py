"""Thousands of requests made of our own OpenAPI document: nothing fails, and every answer is as described.

Schemathesis makes them, most as the document says and some against it. Ids become those of a real tree, and bodies
are mostly reduced to what is needed and a little more, so that every operation succeeds as well as being refused.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from livia.api.operations import SUBJECTS
from livia.store.engine import Database
from tests.api.everything import Everything
from tests.api.harness import Harness

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
#: requests of each operation, as the document says and against it
EXAMPLES = {GenerationMode.POSITIVE: 28, GenerationMode.NEGATIVE: 10}
LEAST = 2000
#: the provider cannot do it (contract 00, section 6.3)
NOT_SUPPORTED = 501

RESOURCES = [subject.resource for subject in SUBJECTS if subject.resource]
ATTRIBUTES = frozenset(each.name for resource in RESOURCES for each in resource.attributes)
#: what bodies keep: wrappers, and attributes without which nothing is accepted
KEPT = frozenset(
    {
        *(resource.item for resource in RESOURCES),
        *(each.name for resource in RESOURCES for each in resource.attributes if each.required),
        "members",
        "loadbalancer_id",
        "vip_subnet_id",
    }
)
#: generic in what nobody here asks for
Case: TypeAlias = schemathesis.Case[Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]


class Run:
    """Sends what is made, and counts what is answered."""

    def __init__(self, database: Database) -> None:
        self.harness = Harness(database, healthcheck_enabled=True)
        # What the document does not name is sent by the requests against it; here it would refuse every write.
        config = SchemathesisConfig.from_dict({"generation": {"allow-extra-parameters": False}})
        self.schema = schemathesis.openapi.from_wsgi("/openapi.json", self.harness.app, config=config)
        self.everything = Everything(self.harness)
        self.answers: Counter[tuple[str, int]] = Counter()

    def operations(self) -> Iterator[Operation]:
        """Those that delete come last: lists are best read while they are short."""
        found = [each.ok() for each in self.schema.get_all_operations() if isinstance(each, Ok)]
        order = ("GET", "HEAD", "PUT", "POST", "DELETE")
        yield from sorted(found, key=lambda each: order.index(each.method.upper()))

    def examples(self, operation: Operation, mode: GenerationMode) -> None:
        """Every example of one operation. The same ones each time."""
        fresh = operation.method.upper() in ("PUT", "DELETE")

        @settings(
            max_examples=EXAMPLES[mode],
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), lost=st.integers(0, 7), extras=_extras())
        def example(case: Case, lost: int, extras: frozenset[str] | None) -> None:
            ids = self.everything.ids(case.path_parameters, fresh=fresh)
            if lost:
                case.path_parameters = _with_ids(case.path_parameters, ids)
            case.query = _with_ids(case.query, ids)
            case.body = _with_ids(case.body, ids)
            if mode is GenerationMode.POSITIVE and extras is not None:
                self.make_acceptable(case, KEPT | extras)
            self.send(case)

        example()

    def make_acceptable(self, case: Case, names: frozenset[str]) -> None:
        """Leave what the request needs, and of the rest the attributes of these names."""
        case.headers.clear()
        if isinstance(case.body, dict):
            body: dict[str, Any] = _reduced(case.body, names)
            for item, missing in self.everything.missing(body).items() if case.method == "POST" else ():
                body[item] |= missing
            case.body = body

    def send(self, case: Case) -> None:
        response = case.call()
        status = response.status_code
        self.answers[case.operation.label, status] += 1
        assert status < 500 or status == NOT_SUPPORTED, (case.as_curl_command(), response.content)
        case.validate_response(response, checks=CHECKS)


def _extras() -> SearchStrategy[frozenset[str] | None]:
    few = st.frozensets(st.sampled_from(sorted(ATTRIBUTES)), max_size=4)
    return st.none() | few | few


def _with_ids(node: Any, ids: Mapping[str, str]) -> Any:
    """The same with real ids wherever it has some."""
    if isinstance(node, list):
        return [_with_ids(each, ids) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: ids[name] if name in ids and isinstance(each, str) else _with_ids(each, ids)
        for name, each in node.items()
    }


def _reduced(node: Any, names: frozenset[str]) -> Any:
    """The same without the attributes that are not among `names`."""
    if isinstance(node, list):
        return [_reduced(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    return {name: _reduced(each, names) for name, each in node.items() if name in names or name not in ATTRIBUTES}


@pytest.fixture(scope="module", autouse=True)
def networks() -> None:
    """What the format `cidr` of our document is."""
    schemathesis.openapi.format("cidr", st.sampled_from(["10.1.2.3/8", "192.0.2.4", "2001:db8::/32", "0.0.0.0/0"]))


def test_requests_made_of_the_document(database: Database) -> None:
    run = Run(database)
    for operation in run.operations():
        run.examples(operation, GenerationMode.POSITIVE)
        # Where there is nothing to be wrong, there are no examples of it.
        if operation.query or operation.body:
            run.examples(operation, GenerationMode.NEGATIVE)
    print(f"{sum(run.answers.values())} requests")
    assert sum(run.answers.values()) >= LEAST
    succeeded = {label for label, status in run.answers if status < 300}
    assert {each.label for each in run.operations()} - succeeded == set()
