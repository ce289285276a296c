"""What the API takes of a tenant's text, HAProxy takes as that text: no more words, directives or sections.

The text goes the whole way: request, database, spec, the agent's acceptance, file, `haproxy -c`. The file is read by
a reader of its own, after the manual's section 2.2, and compared with that of the same load balancer with harmless
words in the same places. LIVIA_HOSTILE_EXAMPLES sets how many load balancers are tried.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livia.agent.acceptance import check
from livia.agent.datagram import ruleset, table
from livia.agent.haproxy import tls
from livia.agent.haproxy.render import Machine, render
from livia.core.model.amphora import Amphora, Role
from livia.core.model.secret import Named
from livia.core.model.status import AmphoraStatus
from livia.core.spec import CONTRACT_TLS, Plug, Spec, build, wanted, with_tls
from livia.store import tables as t
from livia.store import trees
from livia.store.engine import Database
from tests.api.harness import SUBNET, Harness
from tests.keymaterial import INTERMEDIATE, WEB

Words: TypeAlias = list[str]
_EXAMPLES = int(os.environ.get("LIVIA_HOSTILE_EXAMPLES", "25"))
_CHARACTERS = "ab/09 \t\n\r'\"\\$%{}[]()#,;:=<>|&!~`^?*+-._@\x00\x01\x7f\x85é\u2028\U0001f600"
hostile = st.text(st.sampled_from(_CHARACTERS), max_size=30) | st.sampled_from(
    ["${HOME}", '"$HOME"', "%[env(HOME)]", "%%[src]%", "-f", "--", "-m reg", "a\n  server x 1.1.1.1:1", "#", "\\", "';"]
)
#: what most texts may consist of, so that much is taken
printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
text = printable | hostile
rules = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE", "SSL_DN_FIELD"]),
        "compare_type": st.sampled_from(["REGEX", "STARTS_WITH", "EQUAL_TO"]),
        "key": st.none() | st.text(st.sampled_from("!#$%&'*+.^_`|~0aZ-"), min_size=1, max_size=255) | hostile,
        "value": text | text.map(lambda each: f'"{each}"') | printable.map(lambda each: each + "é" * 9),
        "invert": st.booleans(),
        "tags": st.just(["a\n", "'"]),
    }
)
redirects = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["REDIRECT_TO_URL", "REDIRECT_PREFIX"]),
        "url": text.map(lambda each: f"http://a.net/?{each}"[:255]) | text,
        "name": hostile,
    }
)
_INTEGERS = st.sampled_from([0, 1, 60, 2**31 - 1, 2**31, 2**63 - 1])
_CIPHERS = st.lists(
    st.sampled_from(["AES128-SHA", "ECDHE+AESGCM", "!aNULL", "@SECLEVEL=0", "TLS_AES_128_GCM_SHA256", "A", "TLS_A"]),
    max_size=150,
).map(":".join)
services = st.fixed_dictionaries(
    {
        "path": text.map(lambda each: f"/{each}"),
        "domain": st.sampled_from(["a.example", "_a.b.", "1.2.3.4"]) | hostile,
        "codes": st.sampled_from(["200", "200,\t201 ,\n000", "999-000", "200\n", "2xx"]) | hostile,
        "method": st.sampled_from(["GET", "CONNECT", "TRACE", "get"]) | hostile,
        "cookie": st.text(st.sampled_from("!#$%&'*+.^_`|~0aZ-é"), min_size=1, max_size=255) | hostile,
        "address": st.sampled_from(["10.0.0.21", "fe80::1%eth0", "::ffff:1.2.3.4", "FD00::1", "10.0.0.1 id 1"]),
        "seconds": _INTEGERS,
        "headers": st.dictionaries(st.just("X-Forwarded-For") | hostile, hostile | st.just("true"), max_size=2),
        "cidrs": st.lists(st.sampled_from(["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "10.0.0.0/8 {"]), max_size=3),
        "limit": _INTEGERS,
        "age": _INTEGERS,
        "ciphers": _CIPHERS | hostile,
        "versions": st.lists(st.sampled_from(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]), max_size=4),
    }
)


class Tenant:
    """Makes load balancers through the API, and the files of what it took."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.taken: set[str] = set()

    def begin(self) -> None:
        self.load_balancer = self._harness.load_balancer(vip_address="192.0.2.9")["id"]
        self._port = 80
        self.listener = self._post("listeners", "listener", **self._listener("HTTP"))

    def _listener(self, protocol: str) -> dict[str, Any]:
        self._port += 1
        return {"loadbalancer_id": self.load_balancer, "protocol": protocol, "protocol_port": self._port}

    def _post(self, path: str, item: str, **body: Any) -> str | None:
        """The id of what was made; None when the API says why it makes it not."""
        self._harness.confirm(self.load_balancer)
        answer = self._harness.client.post(f"/{path}", {item: body})
        assert answer.status in (201, 400, 501), answer.body
        if answer.status != 201:
            assert answer.fault
            return None
        self.taken.add(item)
        return str(answer.json[item]["id"])

    def raw(self, body: bytes) -> int:
        """The status of a request as it is."""
        return self._harness.client.post("/loadbalancers", body).status

    def rule(self, values: dict[str, Any]) -> None:
        policy = self._post("l7policies", "l7policy", listener_id=self.listener, action="REJECT")
        self._post(f"l7policies/{policy}/rules", "rule", **values)

    def redirect(self, values: dict[str, Any]) -> None:
        where = "redirect_url" if values["action"] == "REDIRECT_TO_URL" else "redirect_prefix"
        body = {"listener_id": self.listener, "action": values["action"], where: values["url"], "name": values["name"]}
        policy = self._post("l7policies", "l7policy", **body)
        if policy is not None:
            self._post(f"l7policies/{policy}/rules", "rule", type="PATH", compare_type="EQUAL_TO", value="/")

    def service(self, values: dict[str, Any]) -> None:
        pool = {"loadbalancer_id": self.load_balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        encrypted = {"tls_enabled": True, "tls_ciphers": values["ciphers"], "tls_versions": values["versions"] or None}
        sticky = {"session_persistence": {"type": "APP_COOKIE", "cookie_name": values["cookie"]}}
        made = [self._post("pools", "pool", **pool, **more) for more in (encrypted, sticky)]
        for pool_id in filter(None, made):
            common = {"pool_id": pool_id, "type": "HTTPS", "max_retries": 3, "http_version": 1.1}
            times = {"delay": values["seconds"], "timeout": values["seconds"]}
            for more in ({"url_path": values["path"], "expected_codes": values["codes"]}, {"url_path": values["path"]}):
                more["domain_name"], more["http_method"] = values["domain"], values["method"]
                if self._post("healthmonitors", "healthmonitor", **common, **times, **more):
                    break
            else:
                self._post("healthmonitors", "healthmonitor", **common, delay=1, timeout=1, url_path=values["path"])
            self._post(f"pools/{pool_id}/members", "member", address=values["address"], protocol_port=80)
            self._listeners(values, pool_id)
        self._datagrams(values)

    def _listeners(self, values: dict[str, Any], pool_id: str) -> None:
        common = {"default_pool_id": pool_id, "connection_limit": values["limit"], "allowed_cidrs": values["cidrs"]}
        self._post("listeners", "listener", **self._listener("HTTP"), **common, insert_headers=values["headers"])
        ends = {"default_tls_container_ref": "it", "hsts_max_age": values["age"]}
        offer = {"tls_ciphers": values["ciphers"], "tls_versions": values["versions"] or None}
        self._post("listeners", "listener", **self._listener("TERMINATED_HTTPS"), **common, **ends, **offer)

    def _datagrams(self, values: dict[str, Any]) -> None:
        remembered = {"type": "SOURCE_IP", "persistence_timeout": values["seconds"]}
        pool = {"loadbalancer_id": self.load_balancer, "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}
        pool_id = self._post("pools", "pool", **pool, session_persistence=remembered)
        if pool_id is not None:
            self._post(f"pools/{pool_id}/members", "member", address="10.0.0.21", protocol_port=53)
            common = {"connection_limit": values["limit"], "allowed_cidrs": values["cidrs"]}
            self._post("listeners", "listener", **self._listener("UDP"), default_pool_id=pool_id, **common)

    def spec(self) -> tuple[Spec, dict[Named, str]]:
        """What an amphora would be told."""
        with self._harness.database.read() as connection:
            tree = trees.load(connection, self.load_balancer)
        assert tree is not None
        amphora = Amphora(
            id="amphora-1",
            load_balancer_id=self.load_balancer,
            role=Role.STANDALONE,
            status=AmphoraStatus.BOOTING,
        )
        plug = Plug(port_id="p", network_id="n", mac="02:77:00:00:00:01", mtu=1500, addresses=("192.0.2.5/24",))
        spec = build(tree, amphora, (plug,), 1.0)
        pems = {each.named: WEB.text(INTERMEDIATE) for each in wanted(spec, tree)}
        return with_tls(spec, tree, pems, CONTRACT_TLS), pems


class _Healthy:
    """Every member is up, and nobody checks."""

    def up(self, _pool_id: str, _member_id: str) -> bool:
        return True

    def text(self, _pool_id: str, _member_id: str) -> str | None:
        return None


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('tenant') / 'livia.db'}", durable=False)
    t.metadata.create_all(database.engine)
    yield Tenant(Harness(database))
    database.close()


@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(
    conditions=st.lists(rules, min_size=1, max_size=4),
    targets=st.lists(redirects, max_size=2),
    service=services,
)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_hostile_text_stays_text(
    tenant: Tenant, conditions: list[dict[str, Any]], targets: list[dict[str, Any]], service: dict[str, Any]
) -> None:
    tenant.begin()
    for condition in conditions:
        tenant.rule(condition)
    for target in targets:
        tenant.redirect(target)
    tenant.service(service)
    spec, _pems = tenant.spec()
    check(spec)
    text = render(spec, Machine(connections=1000))
    assert _haproxy_says(text, spec) == "Configuration file is valid\n"
    harmless, meant = _harmless(spec)
    _compare(_read(text), _read(render(harmless, Machine(connections=1000))), meant)
    assert _nft_says(table.transaction(table.Loaded(), ruleset.render(spec, _Healthy(), {}))) == ""


def test_the_whole_way_was_gone(tenant: Tenant) -> None:
    """Else the test above would prove nothing."""
    assert tenant.taken >= {"rule", "l7policy", "pool", "healthmonitor", "listener", "member"}


def test_lone_surrogates_are_refused(tenant: Tenant) -> None:
    tenant.begin()
    assert tenant.raw(b'{"loadbalancer": {"vip_subnet_id": "%s", "name": "a"}}' % SUBNET.encode()) == 201
    assert tenant.raw(b'{"loadbalancer": {"vip_subnet_id": "%s", "name": "\\ud800"}}' % SUBNET.encode()) == 400


def _harmless(spec: Spec) -> tuple[Spec, dict[str, str]]:
    """The spec with a word of its own in place of each text, and the text that each word stands for."""
    meant: dict[str, str] = {}

    def word(text: str | None, form: str = "{}") -> str | None:
        if text is None:
            return None
        name = form.format(f"harmless{len(meant)}x")
        meant[name] = text
        return name

    listeners = tuple(
        replace(
            each,
            policies=tuple(
                replace(
                    policy,
                    # A percent sign is written twice: the target is a log format (manual, section 8.2.4).
                    url=word(policy.url and policy.url.replace("%", "%%"), "http://{}/"),
                    rules=tuple(replace(rule, key=word(rule.key), value=word(rule.value)) for rule in policy.rules),
                )
                for policy in each.policies
            ),
        )
        for each in spec.listeners
    )
    pools = tuple(
        replace(
            each,
            persistence=each.persistence and replace(each.persistence, cookie_name=word(each.persistence.cookie_name)),
            monitor=each.monitor
            and replace(
                each.monitor, url_path=word(each.monitor.url_path, "/{}"), domain_name=word(each.monitor.domain_name)
            ),
        )
        for each in spec.pools
    )
    return replace(spec, listeners=listeners, pools=pools), meant


def _compare(read: list[Words], harmless: list[Words], meant: dict[str, str]) -> None:
    assert [len(each) for each in read] == [len(each) for each in harmless]
    for words, plain in zip(read, harmless, strict=True):
        for found, expected in zip(words, plain, strict=True):
            for name in (name for name in meant if name in expected):
                expected = expected.replace(name, meant[name])
            assert found == expected


def _read(text: str) -> list[Words]:
    """The words of every line, by the rules of the manual's section 2.2. What HAProxy would expand is an error."""
    assert "\r" not in text
    return [words for each in text.split("\n") if (words := _words(each))]


def _words(line: str) -> Words:
    words: Words = []
    current: str | None = None
    quote = ""
    characters = iter(line)
    for each in characters:
        if quote == "'" and each != "'":
            current = (current or "") + each
        elif quote == '"' and each == "$":
            raise AssertionError("an environment variable")
        elif each == "\\":
            # Outside of quotes and inside double ones it makes one character of two.
            following = next(characters)
            assert following in "\\\"'$#% ", line
            current = (current or "") + following
        elif each in ("'", '"') and quote in ("", each):
            quote = "" if quote else each
            current = current or ""
        elif not quote and each in " \t":
            words += [current] if current is not None else []
            current = None
        elif not quote and each == "#":
            break
        else:
            current = (current or "") + each
    assert not quote, line
    return [*words, current] if current is not None else words


def _haproxy_says(text: str, spec: Spec) -> str:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / tls.DIRECTORY).mkdir()
        for slot in tls.material_slots(spec):
            (directory / tls.DIRECTORY / slot).write_text(WEB.text(INTERMEDIATE))
        for slot, content in tls.lists(spec).items():
            (directory / tls.DIRECTORY / slot).write_text(content)
        (directory / "state").write_text("1\n")
        (directory / "haproxy.cfg").write_text(text)
        command = ["/usr/sbin/haproxy", "-c", "-f", "haproxy.cfg"]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _nft_says(commands: str) -> str:
    # In a network of its own, which ends with it.
    command = ["unshare", "--net", "nft", "--check", "--file", "-"]
    done = subprocess.run(command, input=commands, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
