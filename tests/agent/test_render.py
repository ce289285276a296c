"""No value that a tenant can set becomes a directive: whatever passes our checks, HAProxy reads as one word."""

import subprocess
import tempfile
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livia.agent.acceptance import check
from livia.agent.errors import InvalidSpecError
from livia.agent.haproxy.change import plan
from livia.agent.haproxy.render import Machine, render
from livia.agent.haproxy.server import ids
from livia.agent.haproxy.servers import AtRuntime, ByReload, Surroundings
from livia.agent.haproxy.text import line, word
from livia.agent.keepalived.render import render as keepalived
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType
from livia.core.spec import PersistenceSpec, Spec, is_stick_size
from tests.agent.lab import listener, member, monitor, pair, pool, single

MACHINE = Machine(connections=1000)
_LIMITS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Text that is likely to break out of something.
hostile = st.text(
    st.sampled_from("ab/ \t\n\r'\"\\$%{}[]()#,;:=<>|&!~`^?*+-._@0\x00\x7fé"), min_size=0, max_size=40
) | st.sampled_from(
    ["/%[src]", "/${HOME}", "/#", "/' server x 1.1.1.1:1 '", "/\\", "a\n  server x 1.1.1.1:1", "a'b", "a|b"]
)


def _fuzzed(path: str, host: str, cookie: str, codes: str) -> Spec:
    check = monitor(type=MonitorType.HTTP, url_path=path, http_version=1.1, domain_name=host, expected_codes=codes)
    sticky = PersistenceSpec(type=PersistenceType.APP_COOKIE, cookie_name=cookie)
    return single((pool(member(1), monitor=check, persistence=sticky),))


def _passes(spec: Spec) -> bool:
    try:
        check(spec)
    except InvalidSpecError:
        return False
    return True


@_LIMITS
@given(
    path=hostile.map(lambda text: "/" + text),
    host=st.just("a.example") | hostile,
    cookie=st.just("sid") | hostile,
    codes=st.sampled_from(["200", "200, 201", "204-200", "2xx", "200\n201"]),
)
def test_hostile_strings_are_refused_or_taken_as_they_are(path: str, host: str, cookie: str, codes: str) -> None:
    spec = _fuzzed(path, host, cookie, codes)
    if not _passes(spec):
        return
    text = render(spec, MACHINE)
    plain = render(_fuzzed("/", "a.example", "sid", "200"), MACHINE)
    heads = [each.split(maxsplit=2)[:2] for each in text.splitlines()]
    assert [head[0] for head in heads if head] == [each.split()[0] for each in plain.splitlines() if each]
    assert _haproxy_takes(text) == ""


@_LIMITS
@given(path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60).map(lambda text: "/" + text))
def test_every_printable_path_is_taken(path: str) -> None:
    spec = _fuzzed(path, "a.example", "sid", "200")
    assert _passes(spec)
    assert _haproxy_takes(render(spec, MACHINE)) == ""


@_LIMITS
@given(cookie=st.text(st.sampled_from("!#$%&'*+.^_`|~0aZ-"), min_size=1, max_size=30))
def test_every_token_is_a_cookie_name(cookie: str) -> None:
    spec = _fuzzed("/", "a.example", cookie, "200")
    assert _passes(spec)
    assert _haproxy_takes(render(spec, MACHINE)) == ""


def _haproxy_takes(text: str) -> str:
    """What `haproxy -c` says of a file, nothing when it likes it."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "f").write_text(text)
        done = subprocess.run(
            ["/usr/sbin/haproxy", "-c", "-f", "f"], cwd=directory, capture_output=True, text=True, check=False
        )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\x7f"])
def test_control_characters_never_reach_a_line(text: str) -> None:
    with pytest.raises(InvalidSpecError):
        word(text)


def test_a_line_that_haproxy_could_not_read_is_refused() -> None:
    with pytest.raises(InvalidSpecError):
        line("acl", *(["x"] * 64))
    with pytest.raises(InvalidSpecError):
        line("x" * 15001)


def test_allowed_cidrs_are_no_concern_of_haproxys() -> None:
    members = (pool(member(1)),)
    guarded = single(members, (listener(allowed_cidrs=("10.0.0.0/8",)),))
    assert plan(single(members), guarded, Surroundings()) == AtRuntime()


def test_ids_that_could_be_paths_are_refused() -> None:
    for name in ("", ".", "../x", "a/b", "a b", "ä", "a\n"):
        with pytest.raises(InvalidSpecError):
            check(replace(single((), ()), amphora_id=name))


def test_only_members_change_at_runtime() -> None:
    before = single((pool(member(1), member(2)),))
    after = single((pool(member(1, weight=5), member(3)),))
    step = plan(before, after, Surroundings())
    assert isinstance(step, AtRuntime)
    assert [command.text.split()[0] for command in step.commands] == ["set", "add", "enable"]
    assert [each.path for each in step.departures] == ["pool-1:listener-1/m2"]
    assert plan(before, before, Surroundings()) == AtRuntime()
    assert isinstance(plan(before, replace(before, listeners=(listener(port=81),)), Surroundings()), ByReload)


def _roles(**changes: object) -> AtRuntime | ByReload:
    """How a member of such a pool becomes a backup."""
    before = single((pool(member(1), member(2), **changes),))
    after = single((pool(member(1), member(2, backup=True), **changes),))
    return plan(before, after, Surroundings())


def test_a_member_that_clients_are_bound_to_is_not_replaced_at_runtime() -> None:
    step = _roles()
    assert isinstance(step, AtRuntime)
    assert [each.twin for each in step.replacements] == ["pool-1:listener-1/m2:twin"]
    for algorithm in (Algorithm.SOURCE_IP, Algorithm.SOURCE_IP_PORT):
        assert isinstance(_roles(algorithm=algorithm), ByReload)
    for kind in (PersistenceType.HTTP_COOKIE, PersistenceType.SOURCE_IP):
        assert isinstance(_roles(persistence=PersistenceSpec(type=kind)), ByReload)


def test_members_of_one_checksum_have_ids_of_their_own() -> None:
    # CRC-32 of "plumless" and "buckeroo" is the same.
    both = pool(member(1, id="plumless"), member(2, id="buckeroo"))
    first, second = ids(both)["buckeroo"], ids(both)["plumless"]
    assert second == first + 1
    before, after = single((pool(member(1, id="plumless")),)), single((both,))
    assert isinstance(plan(before, after, Surroundings()), ByReload)


@pytest.mark.parametrize("size", ["1", "10k", "3g", "4294967295", "4194303k", "4g", "4194304k", "5000m", "1kk"])
def test_sizes_of_stick_tables_are_those_that_haproxy_takes(size: str) -> None:
    sticky = PersistenceSpec(type=PersistenceType.SOURCE_IP)
    spec = replace(single((pool(member(1), persistence=sticky),)), stick_size=size)
    text = render(spec, MACHINE)
    assert f"table pool-1 type ipv6 size {size}\n" in text
    assert (_haproxy_takes(text) == "") is is_stick_size(size) is _passes(spec)


@pytest.mark.parametrize("size", ["", "0", "-1", "k", "1 k", "1\n", "1k\n  user root", "\u0661"])
def test_a_size_that_is_none_does_not_get_that_far(size: str) -> None:
    assert not _passes(replace(single(()), stick_size=size))


@pytest.mark.parametrize("address", ["fd00::21", "2001:db8::5:6", "::ffff:1.2.3.4"])
def test_the_end_of_a_monitor_address_is_no_port(address: str) -> None:
    text = render(single((pool(member(1, monitor_address=address, monitor_port=81), monitor=monitor()),)), MACHINE)
    assert f" addr [{ip_address(address)}] port 81" in text
    assert _haproxy_takes(text) == ""


def test_keepalived_carries_the_other_ip_version_along() -> None:
    from livia.core.spec import VipAddress

    first, _second = pair(())
    spec = replace(first, vips=(*first.vips, VipAddress(address="fd00::200", interface="eth0")))
    text = keepalived(spec, "/t") or ""
    head, _, excluded = text.partition("virtual_ipaddress_excluded")
    assert "172.31.213.200/32" in head
    assert "fd00::200/128" in excluded
    assert keepalived(single(()), "/t") is None
