"""The catalogue of rules, what it grants, the shipped override files, and the tools of oslo.policy (contract 80)."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from oslo_policy import policy as oslo

from livia.api.operations import SUBJECTS
from livia.api.policy_files import FilePolicy
from livia.api.rules import BASE, OPERATIONS, name_of
from livia.core.clock import SystemClock
from livia.services.settings import PolicySettings
from tests.api.personas import OTHER, OWN, PERSONAS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "policy"

#: contract 80, section 3: kinds of defaults are R, RG, W, A, RQ, RQG, WQ and, for members, R or service
CATALOGUE = """
loadbalancer get_all:R get_all-global:RG post:W post:vip_sg_ids:W get_one:R put:W put:vip_sg_ids:W delete:W get_stats:R
loadbalancer get_status:R put_failover:A
listener get_all:R get_all-global:RG post:W get_one:R put:W delete:W get_stats:R
pool get_all:R get_all-global:RG post:W get_one:R put:W delete:W
member get_all:RS post:W get_one:R put:W delete:W
healthmonitor get_all:R get_all-global:RG post:W get_one:R put:W delete:W
l7policy get_all:R get_all-global:RG post:W get_one:R put:W delete:W
l7rule get_all:R post:W get_one:R put:W delete:W
quota get_all:RQ get_all-global:RQG get_one:RQ put:WQ delete:WQ get_defaults:RQ
amphora get_all:A get_one:A delete:A put_config:A put_failover:A get_stats:A
provider get_all:R
provider-flavor get_all:A
provider-availability-zone get_all:A
flavor get_all:R get_one:R post:A put:A delete:A
flavor-profile get_all:A get_one:A post:A put:A delete:A
availability-zone get_all:R get_one:R post:A put:A delete:A
availability-zone-profile get_all:A get_one:A post:A put:A delete:A
"""
CHECKS = {
    "R": "rule:load-balancer:read",
    "RS": "rule:load-balancer:read or rule:service",
    "RG": "rule:load-balancer:read-global",
    "W": "rule:load-balancer:write",
    "A": "rule:load-balancer:admin",
    "RQ": "rule:load-balancer:read-quota",
    "RQG": "rule:load-balancer:read-quota-global",
    "WQ": "rule:load-balancer:write-quota",
}
#: an operation of each kind, and the kinds in the order of the tables below
EXAMPLES = {
    "R": ("pool", "get_one"),
    "RS": ("member", "get_all"),
    "RG": ("pool", "get_all-global"),
    "W": ("pool", "put"),
    "A": ("amphora", "get_all"),
    "RQ": ("quota", "get_one"),
    "RQG": ("quota", "get_all-global"),
    "WQ": ("quota", "put"),
}
EVERYTHING = set(EXAMPLES)
READ = {"R", "RS", "RQ"}
NOTHING: set[str] = set()

#: who may do which kinds to an object of project "own"; everybody else nothing
Grants = dict[str, set[str]]

NEW_DEFAULTS: Grants = {
    "admin": EVERYTHING,
    "member": READ | {"W"},
    "reader": READ,
    "member and reader": READ | {"W"},
    "service": {"RS"},
}
LEGACY: Grants = {
    "lb admin": EVERYTHING,
    "lb member": READ | {"W"},
    "lb observer": READ,
    "lb global observer": READ | {"RG", "RQG"},
    "lb quota admin": {"RQ", "RQG", "WQ"},
}
ADMIN_OR_OWNER: Grants = {
    "admin": EVERYTHING,
    "lb admin": EVERYTHING,
    "service": {"RS"},
    **{
        name: READ | {"W"}
        for name in ("member", "reader", "member and reader", "no role", "unknown role", "lb member", "lb observer")
    },
}
KEYSTONE_ROLES: Grants = {
    "admin": EVERYTHING,
    "member": {"W"},
    "reader": READ,
    "member and reader": READ | {"W"},
    "service": {"RS"},
    "lb admin": {"A", "WQ"},
}
SCOPED: Grants = {
    "member": {"W"},
    "reader": READ,
    "member and reader": READ | {"W"},
    "service": {"RS"},
    "system admin": EVERYTHING,
    "system reader": READ | {"RG", "RQG"},
}
MATRIX: list[tuple[str, PolicySettings, Grants]] = [
    ("the defaults", PolicySettings(), NEW_DEFAULTS),
    ("old defaults too", PolicySettings(enforce_new_defaults=False), NEW_DEFAULTS | LEGACY),
    ("admin_or_owner", PolicySettings(policy_file="admin_or_owner-policy.yaml"), ADMIN_OR_OWNER),
    ("keystone roles", PolicySettings(policy_file="keystone_default_roles-policy.yaml"), KEYSTONE_ROLES),
    ("scoped", PolicySettings(policy_file="keystone_default_roles_scoped-policy.yaml"), SCOPED),
    (
        "advanced",
        PolicySettings(policy_file="octavia-advanced-rbac-policy.yaml"),
        LEGACY | {"admin": EVERYTHING, "service": {"RS"}},
    ),
]


def policy(settings: PolicySettings, *directories: Path) -> FilePolicy:
    """A policy on files of some directories."""
    return FilePolicy(settings, directories, SystemClock())


def test_the_catalogue_is_the_contracts() -> None:
    expected = {}
    for line in CATALOGUE.split("\n"):
        resource, *actions = line.split() or [""]
        for action, _colon, kind in (each.rpartition(":") for each in actions):
            expected[f"os_load-balancer_api:{resource}:{action}"] = CHECKS[kind]
    assert {rule.name: rule.check for rule in OPERATIONS} == expected


def test_the_description_of_the_api_names_rules_of_the_catalogue() -> None:
    known = {f"{rule.resource}:{rule.action}" for rule in OPERATIONS}
    for subject in SUBJECTS:
        for operation in subject.operations:
            assert set(operation.rules) <= known, operation


def test_base_rules_are_the_contracts() -> None:
    compound = "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
    compound += "rule:load-balancer:member_and_owner or "
    assert {rule.name: (rule.check, rule.legacy) for rule in BASE} == {
        "context_is_admin": ("role:admin", "role:admin or role:load-balancer_admin"),
        "project-member": ("role:member and project_id:%(project_id)s", None),
        "project-reader": ("role:reader and project_id:%(project_id)s", None),
        "service": ("role:service", None),
        "load-balancer:owner": ("project_id:%(project_id)s", None),
        "load-balancer:admin": (
            "is_admin:True or role:admin",
            "is_admin:True or role:admin or role:load-balancer_admin",
        ),
        "load-balancer:global_observer": ("role:admin", "role:load-balancer_global_observer"),
        "load-balancer:member_and_owner": (
            "rule:project-member",
            "role:load-balancer_member and rule:load-balancer:owner",
        ),
        "load-balancer:observer_and_owner": (
            "rule:project-reader",
            "role:load-balancer_observer and rule:load-balancer:owner",
        ),
        "load-balancer:quota-admin": ("role:admin", "role:load-balancer_quota_admin"),
        "load-balancer:read": (f"{compound}rule:load-balancer:admin", None),
        "load-balancer:read-global": ("rule:load-balancer:global_observer or rule:load-balancer:admin", None),
        "load-balancer:write": ("rule:load-balancer:member_and_owner or rule:load-balancer:admin", None),
        "load-balancer:read-quota": (f"{compound}rule:load-balancer:quota-admin or rule:load-balancer:admin", None),
        "load-balancer:read-quota-global": (
            "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin",
            None,
        ),
        "load-balancer:write-quota": ("rule:load-balancer:quota-admin or rule:load-balancer:admin", None),
    }


@pytest.mark.parametrize("settings, grants", [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX])
def test_who_may_do_what(settings: PolicySettings, grants: Grants) -> None:
    asked = policy(settings, SHIPPED)
    for persona, caller in PERSONAS.items():
        for kind, (resource, action) in EXAMPLES.items():
            allowed = asked.allows(caller.context, name_of(resource, action), OWN)
            assert allowed == (kind in grants.get(persona, NOTHING)), (persona, resource, action)


def test_other_projects_and_none() -> None:
    """Owners own nothing of others; who has no project owns not even what belongs to nobody."""
    asked = policy(PolicySettings(policy_file="admin_or_owner-policy.yaml"), SHIPPED)
    rule = name_of("pool", "get_one")
    owner, nobody = PERSONAS["member"].context, PERSONAS["no project"].context
    for caller, project_id, allowed in (
        (owner, OWN, True),
        (owner, OTHER, False),
        (owner, None, False),
        (nobody, OWN, False),
        (nobody, None, False),
        (nobody, "None", False),
    ):
        assert asked.allows(caller, rule, project_id) is allowed, (caller, project_id)


def test_shipped_files_override_base_rules_only() -> None:
    base = {rule.name: rule.check for rule in BASE}
    files = sorted(SHIPPED.iterdir())
    assert [file.name for file in files] == [
        "admin_or_owner-policy.yaml",
        "keystone_default_roles-policy.yaml",
        "keystone_default_roles_scoped-policy.yaml",
        "octavia-advanced-rbac-policy.yaml",
    ]
    for file in files:
        for name, check in oslo.parse_file_contents(file.read_bytes()).items():
            assert name in base, (file.name, name)
            assert check != base[name], (file.name, name)


def entry_point(group: str) -> Any:
    """What an installed Livia registers under the name octavia."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _colon, name = project["entry-points"][group]["octavia"].partition(":")
    return getattr(importlib.import_module(module), name)


def test_the_tools_find_the_catalogue() -> None:
    rules = entry_point("oslo.policy.policies")()
    assert [rule.name for rule in rules] == [*(rule.name for rule in BASE), *(rule.name for rule in OPERATIONS)]
    for rule in rules[len(BASE) :]:
        assert rule.scope_types == ["project"], rule.name
        assert rule.description, rule.name
        (operation,) = rule.operations
        assert operation["path"].startswith(("/v2/lbaas/", "/v2/octavia/")), rule.name


def run(tool: str, installed: Path, *arguments: str) -> str:
    """The output of one of oslo.policy's tools, as if Livia were installed in a directory."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    information = installed / "livia_as_installed-1.dist-info"
    information.mkdir(exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: livia-as-installed\nVersion: 1\n")
    groups = {name: points for name, points in project["entry-points"].items() if name.startswith("oslo.policy")}
    lines = (f"[{name}]\noctavia = {points['octavia']}\n" for name, points in groups.items())
    (information / "entry_points.txt").write_text("".join(lines))
    code = f"from oslo_policy import generator; generator.{tool}()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "--namespace", "octavia", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        # stevedore keeps what it finds in the user's cache.
        env={"PYTHONPATH": f"{installed}:{ROOT / 'src'}", "HOME": str(installed), "PATH": ""},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_tools_of_oslo_policy(tmp_path: Path) -> None:
    (tmp_path / "octavia.conf").write_text("[oslo_policy]\npolicy_file = mine.yaml\n")
    (tmp_path / "mine.yaml").write_text(
        '"project-member": "role:member and project_id:%(project_id)s"\n"service": "role:broker"\n'
    )
    sample = run("generate_sample", tmp_path)
    assert '#"os_load-balancer_api:loadbalancer:put_failover": "rule:load-balancer:admin"' in sample
    assert "# PUT  /v2/lbaas/loadbalancers/{loadbalancer_id}/failover" in sample
    configuration = ("--config-file", str(tmp_path / "octavia.conf"))
    redundant = run("list_redundant", tmp_path, *configuration)
    assert redundant.splitlines() == ['"project-member": "role:member and project_id:%(project_id)s"']
    merged = run("generate_policy", tmp_path, *configuration)
    assert '"service": "role:broker"' in merged
    assert '"os_load-balancer_api:pool:put": "rule:load-balancer:write"' in merged
