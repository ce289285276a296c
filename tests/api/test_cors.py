"""Cross-origin requests (contract 00, sections 1 and 15; contract 80, section 1.2)."""

from collections.abc import Mapping

from livia.api.auth import Unauthorized
from livia.services.settings import CorsSettings
from tests.api.client import Answer
from tests.api.conftest import MakeHarness
from tests.api.harness import Harness

ORIGIN = "https://ui.example.net"
SETTINGS = CorsSettings(allowed_origin=(ORIGIN, "https://other.example.net"))
EXPOSED = "X-Auth-Token,X-Openstack-Request-Id"


class Nobody:
    """An authenticator that knows nobody."""

    def authenticate(self, *_arguments: object) -> None:
        raise Unauthorized("Basic")


def cors_of(answer: Answer) -> dict[str, str]:
    """The headers that browsers look at, without their common beginning."""
    beginning = "access-control-"
    return {name.removeprefix(beginning): value for name, value in answer.headers.items() if name.startswith(beginning)}


def preflight(harness: Harness, **headers: str) -> Answer:
    """OPTIONS as browsers send it."""
    sent = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return harness.client.request("OPTIONS", "/loadbalancers", headers=sent)


def test_preflights(make: MakeHarness) -> None:
    harness = make(cors=SETTINGS)
    allowed = {"allow-origin": ORIGIN, "allow-credentials": "true", "allow-methods": "PUT", "max-age": "3600"}
    token = {"Access_Control_Request_Headers": "x-auth-token, Content-Type"}
    rows: list[tuple[Mapping[str, str], Mapping[str, str]]] = [
        ({}, allowed),
        (token, allowed | {"allow-headers": "x-auth-token,Content-Type"}),
        ({"Access_Control_Request_Headers": "X-Other"}, {"allow-origin": ORIGIN, "allow-credentials": "true"}),
        ({"Access_Control_Request_Method": "PATCH"}, {"allow-origin": ORIGIN, "allow-credentials": "true"}),
        ({"Origin": "https://evil.example.net"}, {}),
    ]
    for headers, expected in rows:
        answer = preflight(harness, **headers)
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0"), headers
        assert cors_of(answer) == expected, headers
        assert answer.headers["vary"] == "Origin"


def test_no_credentials_are_needed_to_ask_what_is_allowed(make: MakeHarness) -> None:
    harness = make(cors=SETTINGS, authenticator=Nobody())
    assert cors_of(preflight(harness))["allow-methods"] == "PUT"
    assert harness.client.request("OPTIONS", "/loadbalancers").status == 200
    refused = harness.client.request("GET", "/loadbalancers", headers={"Origin": ORIGIN})
    assert refused.status == 401
    assert cors_of(refused)["allow-origin"] == ORIGIN


def test_answers_say_which_page_may_see_them(make: MakeHarness) -> None:
    harness = make(cors=SETTINGS)
    seen = {"allow-origin": ORIGIN, "allow-credentials": "true", "expose-headers": EXPOSED}
    for path, status in (("/loadbalancers", 200), ("/loadbalancers/x", 404), ("/nope", 404)):
        answer = harness.client.request("GET", path, headers={"Origin": ORIGIN})
        assert (answer.status, cors_of(answer)) == (status, seen), path
    for headers in ({}, {"Origin": "https://evil.example.net"}, {"Origin": "null"}):
        assert cors_of(harness.client.request("GET", "/loadbalancers", headers=headers)) == {}, headers


def test_every_origin(make: MakeHarness) -> None:
    harness = make(cors=CorsSettings(allowed_origin=("*",)))
    answer = harness.client.request("GET", "/loadbalancers", headers={"Origin": ORIGIN})
    # Browsers ignore an answer that allows credentials to every origin.
    assert cors_of(answer) == {"allow-origin": "*", "expose-headers": EXPOSED}
    assert "vary" not in answer.headers


def test_off_by_default(make: MakeHarness) -> None:
    for harness in (make(), make(cors=CorsSettings())):
        assert cors_of(preflight(harness)) == {}
        answer = harness.client.request("GET", "/loadbalancers", headers={"Origin": ORIGIN})
        assert (answer.status, cors_of(answer)) == (200, {})


def test_other_settings(make: MakeHarness) -> None:
    settings = CorsSettings(
        allowed_origin=(ORIGIN,),
        allow_credentials=False,
        expose_headers=(),
        max_age=60,
        allow_methods=("GET",),
        allow_headers=("Authorization",),
    )
    harness = make(cors=settings)
    answer = preflight(harness, Access_Control_Request_Method="GET", Access_Control_Request_Headers="authorization")
    assert cors_of(answer) == {
        "allow-origin": ORIGIN,
        "allow-methods": "GET",
        "allow-headers": "authorization",
        "max-age": "60",
    }
    assert cors_of(harness.client.request("GET", "/pools", headers={"Origin": ORIGIN})) == {"allow-origin": ORIGIN}
