"""One story with every command of python-octaviaclient, and nearly every option.

Each step is a command as an operator types it, and what must be seen of it afterwards. `{names}` in braces are
places: of the stage (`{subnet}`, `{web-1}`) or kept from an earlier step. `--wait` is in few of them: the client looks
every five seconds, and no command needs the one before to be done.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Step(Struct, frozen=True):
    """A command without `openstack loadbalancer`.

    `shows`: values of the JSON that it prints; `lists`: the values of its JSON list's column `column`, in any order;
    `keeps`: place to key of its JSON. A step with none of them prints nothing that matters.
    """

    line: str
    shows: Mapping[str, Any] = {}
    lists: tuple[Any, ...] | None = None
    column: str = "name"
    keeps: Mapping[str, str] = {}
    settled: bool = False

    @property
    def prints_json(self) -> bool:
        return bool(self.shows or self.keeps) or self.lists is not None


def do(line: str, **shows: Any) -> Step:
    """A command whose JSON has these values."""
    return Step(line, shows=shows)


def finds(line: str, *names: Any, column: str = "name") -> Step:
    """A command that lists exactly these."""
    return Step(line, lists=names, column=column)


def keep(line: str, **keeps: str) -> Step:
    """A command of whose JSON later steps need values."""
    return Step(line, keeps=keeps)


def settled(line: str, **shows: Any) -> Step:
    """A command that needs the load balancer to have come to rest."""
    return Step(line, shows=shows, settled=True)


_SINGLE = """'{{"loadbalancer_topology": "SINGLE"}}'"""
_EAST = """'{{"compute_zone": "east"}}'"""
_WEST = """'{{"compute_zone": "west"}}'"""

OFFERS = (
    finds("provider list", "amphora", "octavia"),
    Step("provider capability list amphora"),
    Step("provider capability list amphora --flavor"),
    Step("provider capability list amphora --availability-zone"),
    do(
        f"flavorprofile create --name solo --provider amphora --flavor-data {_SINGLE}",
        name="solo",
        provider_name="amphora",
    ),
    Step(f"flavorprofile set solo --name single --provider amphora --flavor-data {_SINGLE}"),
    finds("flavorprofile list --name single --provider amphora", "single"),
    do("flavorprofile show single", provider_name="amphora"),
    do("flavor create --name cheap --flavorprofile single --description plain --disable", enabled=False),
    Step("flavor set cheap --name small --description 'one amphora' --enable"),
    do("flavor show small", enabled=True, description="one amphora"),
    Step("flavor unset small --description"),
    do("flavor show small", description=""),
    finds("flavor list --name small --flavorprofile single --enable", "small"),
    finds("flavor list --disable"),
    do(
        f"availabilityzoneprofile create --name east --provider amphora --availability-zone-data {_EAST}",
        provider_name="amphora",
    ),
    Step(f"availabilityzoneprofile set east --name west --provider amphora --availability-zone-data {_WEST}"),
    finds("availabilityzoneprofile list --name west --provider amphora", "west"),
    do("availabilityzoneprofile show west", provider_name="amphora"),
    do("availabilityzone create --name az1 --availabilityzoneprofile west --description far --disable", enabled=False),
    Step("availabilityzone set az1 --description farther --enable"),
    do("availabilityzone show az1", enabled=True, description="farther"),
    Step("availabilityzone unset az1 --description"),
    do("availabilityzone show az1", description=""),
    finds("availabilityzone list --name az1 --availabilityzoneprofile west --enable", "az1"),
    finds("availabilityzone list --disable"),
)

QUOTAS = (
    do("quota defaults show", load_balancer=-1, member=-1),
    do(
        "quota set --healthmonitor 5 --listener 6 --loadbalancer 7 --member 8 --pool 9 --l7policy 10 "
        "--l7rule 11 tenant",
        load_balancer=7,
        health_monitor=5,
        l7rule=11,
    ),
    do("quota show tenant", listener=6, member=8, pool=9, l7policy=10),
    finds("quota list", "tenant", column="project_id"),
    finds("quota list --project tenant", "tenant", column="project_id"),
    Step("quota unset tenant --loadbalancer --listener --pool --member --healthmonitor --l7policy --l7rule"),
    do("quota show tenant", load_balancer=-1, l7rule=-1),
    do("quota set --pool 3 tenant", pool=3),
    Step("quota reset tenant"),
    do("quota show tenant", pool=-1),
)

LOAD_BALANCERS = (
    do(
        "create --name shop --description front --vip-subnet-id {subnet} --vip-address {vip} --project shop "
        "--provider amphora --enable --tag web --tag live --vip-qos-policy-id gold --wait",
        provisioning_status="ACTIVE",
        vip_qos_policy_id="{gold}",
        vip_address="{vip}",
        project_id="shop",
        tags=["live", "web"],
    ),
    do("create --name spare --vip-network-id {network} --flavor small --disable --no-tag", admin_state_up=False),
    Step("set spare --name second --description rear --enable --tag web"),
    keep("show second", second="id"),
    finds("list", "shop", "second"),
    finds("list --name shop --enable --project shop --provider amphora --vip-subnet-id {subnet}", "shop"),
    finds("list --disable"),
    finds("list --flavor small", "second"),
    finds("list --vip-network-id {network} --tags web", "shop", "second"),
    finds("list --any-tags live,dead", "shop"),
    finds("list --not-tags live", "second"),
    finds("list --not-any-tags web,live"),
    Step("set second --vip-qos-policy-id gold"),
    do("show second", vip_qos_policy_id="{gold}"),
    Step("unset second --name --description --tag web --vip-qos-policy-id"),
    Step("set {second} --name second"),
    do("show second", description="", tags=[], vip_qos_policy_id=None),
    settled("list"),
    finds("list --provisioning-status ACTIVE --operating-status ONLINE --name second", "second"),
    keep("show shop", shop="id", port="vip_port_id"),
    finds("list --vip-port-id {port}", "shop"),
)

CHILDREN = (
    do(
        "listener create --name http --description plain --protocol HTTP --protocol-port 80 --connection-limit 900 "
        "--insert-headers X-Forwarded-For=true --timeout-client-data 40000 --timeout-member-connect 4000 "
        "--timeout-member-data 41000 --timeout-tcp-inspect 10 --allowed-cidr 0.0.0.0/0 --enable --tag a shop",
        protocol="HTTP",
        connection_limit=900,
        timeout_client_data=40000,
        allowed_cidrs=["0.0.0.0/0"],
        insert_headers={"X-Forwarded-For": "true"},
    ),
    do(
        "pool create --name servers --description two --protocol HTTP --lb-algorithm ROUND_ROBIN --listener http "
        "--session-persistence type=SOURCE_IP --enable --tag b",
        lb_algorithm="ROUND_ROBIN",
        session_persistence={
            "type": "SOURCE_IP",
            "cookie_name": None,
            "persistence_timeout": None,
            "persistence_granularity": None,
        },
    ),
    do("pool create --name idle --protocol HTTP --lb-algorithm SOURCE_IP --loadbalancer shop --disable", name="idle"),
    do(
        "member create --name web-1 --address {web-1} --protocol-port {port-of-backends} --weight 2 "
        "--subnet-id {subnet} --monitor-port {port-of-backends} --monitor-address {web-1} "
        "--disable-backup --enable --tag c servers",
        address="{web-1}",
        weight=2,
        backup=False,
    ),
    do(
        "member create --name web-2 --address {web-2} --protocol-port {port-of-backends} --enable-backup servers",
        backup=True,
    ),
    do(
        "healthmonitor create --name check --type HTTP --delay 1 --timeout 1 --max-retries 1 --max-retries-down 2 "
        "--url-path / --http-method GET --http-version 1.1 --domain-name shop.example --expected-codes 200-299 "
        "--enable --tag d servers",
        type="HTTP",
        http_version=1.1,
        domain_name="shop.example",
    ),
    do(
        "l7policy create --name old --description moved --action REDIRECT_TO_URL --redirect-url http://shop.example/ "
        "--redirect-http-code 301 --position 1 --enable --tag e http",
        position=1,
        redirect_http_code=301,
    ),
    do(
        "l7policy create --name prefix --action REDIRECT_PREFIX --redirect-prefix https://shop.example --disable http",
        redirect_prefix="https://shop.example",
    ),
    do("l7policy create --name images --action REDIRECT_TO_POOL --redirect-pool idle http", position=3),
    keep("l7rule create --type PATH --compare-type STARTS_WITH --value /old --tag f old", rule="id"),
    do(
        "l7rule create --type HEADER --key X-Test --compare-type EQUAL_TO --value yes --invert --disable images",
        key="X-Test",
        invert=True,
    ),
    do("l7rule create --type PATH --compare-type STARTS_WITH --value /img images", value="/img"),
)

SERVED = (
    Step("listener stats show http", shows={"request_errors": 0}),
    Step("stats show shop", shows={"request_errors": 0}),
    Step("status show shop"),
    finds("listener list --name http --loadbalancer shop --project shop --enable --tags a", "http"),
    finds("listener list --any-tags a,z --not-tags z --not-any-tags y,z", "http"),
    finds("listener list --disable"),
    finds("pool list --loadbalancer shop", "servers", "idle"),
    finds("pool list --tags b --any-tags b,z --not-tags z --not-any-tags y", "servers"),
    finds("member list servers", "web-1", "web-2"),
    finds("member list --tags c --any-tags c --not-tags z --not-any-tags z servers", "web-1"),
    finds("healthmonitor list --tags d --any-tags d --not-tags z --not-any-tags z", "check"),
    finds("l7policy list --listener http", "old", "prefix", "images"),
    finds("l7policy list --tags e --any-tags e --not-tags z --not-any-tags z", "old"),
    finds("l7rule list old", "/old", column="value"),
    finds("l7rule list --tags f --any-tags f --not-tags z --not-any-tags z old", "/old", column="value"),
    do("listener show http", name="http"),
    do("pool show servers", name="servers"),
    do("member show servers web-1", name="web-1", operating_status="ONLINE"),
    do("healthmonitor show check", operating_status="ONLINE"),
    do("l7policy show old", action="REDIRECT_TO_URL"),
    do("l7rule show old {rule}", value="/old"),
)

CHANGES = (
    Step("set shop --name shop --description window --enable --tag new"),
    do("show shop", description="window", tags=["live", "new", "web"]),
    Step("set shop --no-tag --tag only"),
    Step("unset shop --all-tag"),
    do("show shop", tags=[]),
    Step(
        "listener set http --name http --description other --connection-limit 1000 --default-pool servers "
        "--insert-headers X-Forwarded-Port=true --timeout-client-data 30000 --timeout-member-connect 3000 "
        "--timeout-member-data 31000 --timeout-tcp-inspect 0 --allowed-cidr {cidr} --enable --tag x"
    ),
    do("listener show http", description="other", connection_limit=1000, allowed_cidrs=["{cidr}"], tags=["a", "x"]),
    Step(
        "listener unset http --description --connection-limit --insert-headers --timeout-client-data "
        "--timeout-member-connect --timeout-member-data --timeout-tcp-inspect --allowed-cidrs --tag x"
    ),
    do("listener show http", connection_limit=-1, timeout_client_data=50000, insert_headers={}, allowed_cidrs=None),
    Step("listener unset http --all-tag"),
    Step(
        "pool set servers --name servers --description three --session-persistence type=HTTP_COOKIE "
        "--lb-algorithm LEAST_CONNECTIONS --enable --no-tag --tag y"
    ),
    do("pool show servers", lb_algorithm="LEAST_CONNECTIONS", description="three", tags=["y"]),
    Step("pool unset servers --description --session-persistence --tag y"),
    do("pool show servers", description="", session_persistence=None, tags=[]),
    Step(
        "member set servers web-1 --name first --weight 5 --monitor-port {port-of-backends} --monitor-address {web-1} "
        "--enable --enable-backup --tag z"
    ),
    do("member show servers first", weight=5, backup=True, tags=["c", "z"]),
    Step("member set servers web-2 --disable-backup"),
    Step("member unset servers first --backup --monitor-address --monitor-port --weight --all-tag"),
    do("member show servers first", weight=1, backup=False, monitor_port=None, tags=[]),
    Step(
        "healthmonitor set check --name probe --delay 2 --timeout 2 --max-retries 2 --max-retries-down 3 "
        "--http-method HEAD --http-version 1.1 --domain-name www.example --expected-codes 200 --url-path /x --enable "
        "--no-tag --tag q"
    ),
    do("healthmonitor show probe", delay=2, http_method="HEAD", url_path="/x", expected_codes="200", tags=["q"]),
    Step(
        "healthmonitor unset probe --domain-name --expected-codes --http-method --http-version --max-retries-down "
        "--url-path --tag q"
    ),
    do("healthmonitor show probe", http_method="GET", url_path="/", max_retries_down=3, domain_name=None),
    Step(
        "l7policy set old --name gone --description away --action REDIRECT_TO_URL --redirect-url http://x.example/ "
        "--redirect-http-code 308 --position 2 --enable --tag g"
    ),
    do("l7policy show gone", redirect_http_code=308, position=2, tags=["e", "g"]),
    Step("l7policy unset gone --description --redirect-http-code --all-tag"),
    do("l7policy show gone", description="", redirect_http_code=None, tags=[]),
    Step("l7policy set prefix --redirect-prefix https://y.example --disable"),
    Step("l7policy set images --action REDIRECT_TO_POOL --redirect-pool idle"),
    Step("l7rule set gone {rule} --compare-type EQUAL_TO --value yes --key X --type HEADER --invert --enable --tag h"),
    do("l7rule show gone {rule}", type="HEADER", key="X", invert=True, tags=["f", "h"]),
    Step("l7rule unset gone {rule} --invert --all-tag"),
    do("l7rule show gone {rule}", invert=False, tags=[]),
)

AMPHORAE = (
    finds("amphora list --loadbalancer shop", "MASTER", "BACKUP", column="role"),
    Step(
        "amphora list --loadbalancer shop --role MASTER --status ALLOCATED --long",
        lists=("{shop}",),
        column="loadbalancer_id",
    ),
    finds("amphora list --compute-id nowhere", column="role"),
    finds("amphora list --image-id nothing", column="role"),
    do("amphora show {amphora}", loadbalancer_id="{shop}", status="ALLOCATED"),
    Step("amphora stats show {amphora}"),
    Step("amphora stats show {amphora} --listener {listener}"),
    settled("amphora configure {amphora}"),
    settled("amphora failover {amphora} --wait"),
    settled("failover shop"),
    Step("amphora delete {unbound}"),
)

ENDS = (
    Step("l7rule delete gone {rule}"),
    Step("l7policy delete gone"),
    Step("l7policy delete images"),
    Step("healthmonitor delete probe"),
    Step("member delete servers web-2"),
    Step("pool delete idle"),
    Step("listener delete http"),
    Step("delete shop --cascade --wait"),
    Step("delete second --cascade"),
    Step("list", lists=(), settled=True),
    Step("flavor delete small"),
    Step("flavorprofile delete single"),
    Step("availabilityzone delete az1"),
    Step("availabilityzoneprofile delete west"),
    finds("flavor list"),
    finds("availabilityzoneprofile list"),
)

#: from an empty installation to an empty one
STORY = (*OFFERS, *QUOTAS, *LOAD_BALANCERS, *CHILDREN, *SERVED, *CHANGES, *AMPHORAE, *ENDS)
