"""Addresses and certificates that a tenant chooses become addresses and certificates, in the files of all programs.

As `test_hostile_text`: the way is the whole one, and each file is compared with that of the same load balancer at
harmless addresses. keepalived and nft look at theirs in a network of their own.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from livia.agent.acceptance import check
from livia.agent.datagram import ruleset, table
from livia.agent.haproxy import tls
from livia.agent.haproxy.render import Machine, render
from livia.agent.keepalived.render import floating
from livia.agent.keepalived.render import render as keepalived
from livia.core.model.amphora import Amphora, Role
from livia.core.model.secret import KeyedCertificate, Material, Use
from livia.core.model.status import AmphoraStatus
from livia.core.rules import references
from livia.core.rules.certificates import Unusable
from livia.core.spec import CONTRACT_TLS, Plug, Spec, TerminationSpec, build, name_of
from livia.store import tables as t
from livia.store import trees
from livia.store.engine import Database
from tests.agent.lab import listener, pool, single
from tests.agent.test_hostile_text import _EXAMPLES, _compare, _Healthy, _nft_says, _read, hostile
from tests.api.harness import SUBNET, Harness
from tests.keymaterial import Holder

_ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)
#: as people write them: in full, in capitals, of IPv4 inside IPv6
spelled = (
    _ADDRESSES.map(str)
    | st.ip_addresses(v=6).map(lambda each: each.exploded)
    | st.ip_addresses(v=6).map(lambda each: str(each).upper())
    | st.ip_addresses(v=4).map(lambda each: f"::ffff:{each}")
)
_MORE = [
    *("%eth0", "/24", "\n", " id 1", "}", "#", ";", "\t", ":80", "\x00", "'", "\u0660", " dev lo"),
    "\nserver x 1.1.1.1",
]
addresses = spelled | spelled | hostile | st.tuples(spelled, st.sampled_from(_MORE)).map("".join)
_LIMITS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Wanted(Struct, frozen=True):
    """What a tenant writes where an address belongs; one of `monitors` for each of `members`."""

    vips: list[str]
    members: list[str]
    monitors: list[str]
    cidrs: list[str]
    mask: str


class Tenant:
    """Makes load balancers with the addresses that the API takes."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.taken: set[str] = set()

    def _post(self, path: str, item: str, **body: Any) -> Any:
        """What was made; None when the API says why it makes it not."""
        answer = self._harness.client.post(path, {item: body})
        assert answer.status in (201, 400, 409, 501), answer.body
        if answer.status != 201:
            assert answer.fault
            return None
        self.taken.add(item)
        return answer.json[item]["id"]

    def make(self, wanted: Wanted) -> Spec:
        """A pair's first amphora, as it would be told what was taken."""
        vip, *others = wanted.vips
        more = [{"subnet_id": SUBNET, "ip_address": each} for each in others]
        values = {"vip_subnet_id": SUBNET, "vip_address": vip, "name": vip, "description": wanted.mask}
        self.key = (
            self._post("/loadbalancers", "loadbalancer", **values, additional_vips=more)
            or self._post("/loadbalancers", "loadbalancer", **values)
            or self._post("/loadbalancers", "loadbalancer", vip_subnet_id=SUBNET, vip_address="192.0.2.9")
        )
        for number, (protocol, kind) in enumerate((("HTTP", "HTTP"), ("TCP", "TLS-HELLO"), ("UDP", "UDP-CONNECT"))):
            self._service(number, protocol, kind, wanted)
        return self._spec()

    def _service(self, number: int, protocol: str, kind: str, wanted: Wanted) -> None:
        self._harness.confirm(self.key)
        common = {"loadbalancer_id": self.key, "protocol": protocol}
        made = {**common, "lb_algorithm": "SOURCE_IP"}
        masked = {"persistence_granularity": wanted.mask} if protocol == "UDP" else {}
        pool_id = self._post("/pools", "pool", **made, session_persistence={"type": "SOURCE_IP", **masked})
        pool_id = pool_id or self._post("/pools", "pool", **made)
        times = {"delay": 5, "timeout": 3, "max_retries": 3}
        self._post("/healthmonitors", "healthmonitor", pool_id=pool_id, type=kind, **times)
        for port, (address, monitor) in enumerate(zip(wanted.members, wanted.monitors, strict=False), 1000):
            place = {"address": address, "protocol_port": port}
            path = f"/pools/{pool_id}/members"
            self._post(path, "member", **place, monitor_address=monitor) or self._post(path, "member", **place)
        listening = {**common, "protocol_port": 80 + number, "default_pool_id": pool_id}
        guarded = self._post("/listeners", "listener", **listening, allowed_cidrs=wanted.cidrs)
        guarded or self._post("/listeners", "listener", **listening)

    def _spec(self) -> Spec:
        with self._harness.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        roles = (Role.MASTER, Role.BACKUP)
        # A port on the network of the first VIP has an address of its version.
        network = "192.0.2." if ip_address(tree.load_balancer.vip.address).version == 4 else "2001:db8:9::"
        pair = tuple(_amphora(self.key, role, f"{network}{number}") for number, role in enumerate(roles, 5))
        own = ("192.0.2.5/24", "2001:db8:9::5/64")
        plug = Plug(port_id="p", network_id="n", mac="02:77:00:00:00:01", mtu=1500, addresses=own)
        return build(replace(tree, amphorae=pair), pair[0], (plug,), 0.1)


def _amphora(load_balancer_id: str, role: Role, address: str) -> Amphora:
    return Amphora(
        id=f"amphora-{role.lower()}",
        load_balancer_id=load_balancer_id,
        role=role,
        status=AmphoraStatus.BOOTING,
        vrrp_ip=address,
    )


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('tenant') / 'livia.db'}", durable=False)
    t.metadata.create_all(database.engine)
    yield Tenant(Harness(database))
    database.close()


@_LIMITS
@given(
    st.builds(
        Wanted,
        vips=st.lists(addresses, min_size=1, max_size=3),
        members=st.lists(addresses, min_size=1, max_size=4),
        monitors=st.lists(addresses, min_size=4, max_size=4),
        cidrs=st.lists(st.tuples(addresses, st.sampled_from(["", "/0", "/8", "/32", "/x"])).map("".join), max_size=3),
        mask=addresses | st.sampled_from(["255.255.255.0", "255.0.255.0"]),
    )
)
def test_hostile_addresses_stay_addresses(tenant: Tenant, wanted: Wanted) -> None:
    spec = tenant.make(wanted)
    check(spec)
    harmless, meant = _harmless(spec)
    machine = Machine(connections=1000)
    text = render(spec, machine)
    assert _says(["/usr/sbin/haproxy", "-c", "-f"], text).endswith("Configuration file is valid\n")
    _compare(_read(text), _read(render(harmless, machine)), meant)
    assert _nft_says(table.transaction(table.Loaded(), ruleset.render(spec, _Healthy(), {}))) == ""
    vrrp, plain = keepalived(spec, "/track"), keepalived(harmless, "/track")
    assert vrrp is not None
    assert plain is not None
    assert _keepalived_says(vrrp) == ""
    _compare(_lines(vrrp), _lines(plain), meant)
    _compare(_lines(floating(spec)), _lines(floating(harmless)), meant)


def test_the_whole_way_was_gone(tenant: Tenant) -> None:
    """Else the test above would prove nothing."""
    assert tenant.taken >= {"loadbalancer", "pool", "healthmonitor", "member", "listener"}


def _lines(text: str) -> list[list[str]]:
    return [each.split() for each in text.splitlines()]


def _harmless(spec: Spec) -> tuple[Spec, dict[str, str]]:
    """The spec with an address of its own in place of each, and the address that each stands for."""
    meant: dict[str, str] = {}

    def other(text: str) -> str:
        address = ip_address(text)
        name = f"10.9.1.{100 + len(meant)}" if address.version == 4 else f"fd00:9::{100 + len(meant)}"
        meant[name] = str(address)
        return name

    pools = tuple(
        replace(
            each,
            members=tuple(
                replace(
                    member,
                    address=other(member.address),
                    monitor_address=member.monitor_address and other(member.monitor_address),
                )
                for member in each.members
            ),
        )
        for each in spec.pools
    )
    return replace(spec, pools=pools, vips=tuple(replace(vip, address=other(vip.address)) for vip in spec.vips)), meant


def _says(command: list[str], text: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        Path(name, "state").write_text("1\n")
        Path(name, "file").write_text(text)
        done = subprocess.run([*command, "file"], cwd=name, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _keepalived_says(text: str) -> str:
    """What it has to complain of; nothing when the file is in order."""
    made = "ip link add eth0 type veth peer name eth1 && ip link set eth0 up && ip address add 192.0.2.5/24 dev eth0"
    # It looks for errors in the file, and tells them by its status.
    shell = f'{made} && exec /usr/sbin/keepalived --config-test --use-file "$0"'
    with tempfile.TemporaryDirectory() as name:
        Path(name, "track").write_text("0\n")
        Path(name, "file").write_text(text.replace("file /track", f"file {name}/track"))
        command = ["timeout", "10", "unshare", "--net", "sh", "-c", shell, f"{name}/file"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


subjects = (
    st.text(min_size=1, max_size=20) | hostile.filter(bool) | st.sampled_from(["*", "*.a", "!a.net", "a\nb", "%[src]"])
)
#: what the ASN.1 type of a name can hold
names = st.lists(st.text(st.characters(min_codepoint=0x00, max_codepoint=0x7E), min_size=1, max_size=40), max_size=4)


@_LIMITS
@given(st.lists(st.tuples(subjects.map(lambda each: each[:60]), names), min_size=1, max_size=6))
def test_certificates_of_any_subject_are_read_as_certificates(wanted: list[tuple[str, list[str]]]) -> None:
    readings = [_reading(subject, dns_names) for subject, dns_names in wanted]
    pems = [references.pem(each) for each in readings if isinstance(each, KeyedCertificate)]
    refused = [each.why for each in readings if isinstance(each, Unusable)]
    assert all(why and why.isprintable() for why in refused)
    if not pems:
        return
    offered = TerminationSpec(
        certificates=tuple(map(name_of, pems)),
        ciphers=CONTRACT_TLS.listener.ciphers,
        versions=CONTRACT_TLS.listener.versions,
        alpn=CONTRACT_TLS.listener.alpn,
    )
    spec = single((pool(),), (listener(tls=offered),))
    texts = dict(zip(offered.certificates, pems, strict=True))
    with tempfile.TemporaryDirectory() as name:
        Path(name, tls.DIRECTORY).mkdir()
        for slot, material in tls.material_slots(spec).items():
            Path(name, tls.DIRECTORY, slot).write_text(texts[material])
        for slot, text in tls.lists(spec).items():
            assert len(text.splitlines()) == len(pems)
            Path(name, tls.DIRECTORY, slot).write_text(text)
        Path(name, "state").write_text("1\n")
        Path(name, "file").write_text(render(spec, Machine(connections=1000)))
        command = ["/usr/sbin/haproxy", "-c", "-f", "file"]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == "Configuration file is valid\n"


def _reading(subject: str, dns_names: list[str]) -> object:
    holder = Holder(subject, dns_names=dns_names)
    return references.read(Use.CERTIFICATE, Material(content=holder.pem, private_key=holder.key_pem()))
