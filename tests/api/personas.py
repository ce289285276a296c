"""Callers of the access matrix (contract 80, section 5)."""

from msgspec import Struct

from livia.services.context import Context

OWN, OTHER = "own", "other"


class Persona(Struct, frozen=True, kw_only=True):
    """Who calls. `scope`: all for a token of the whole system; `domain`: of a token for a domain."""

    roles: tuple[str, ...] = ()
    project: str | None = OWN
    scope: str | None = None
    domain: str | None = None

    @property
    def context(self) -> Context:
        """The same for services."""
        return Context(
            project_id=self.project, roles=frozenset(self.roles), system_scope=self.scope, domain_id=self.domain
        )

    @property
    def headers(self) -> dict[str, str]:
        """The same for `auth_strategy = testing`."""
        found = {
            "X-Project-Id": self.project,
            "X-Roles": ",".join(self.roles),
            "OpenStack-System-Scope": self.scope,
            "X-Domain-Id": self.domain,
        }
        return {name: value for name, value in found.items() if value}


PERSONAS = {
    "admin": Persona(roles=("admin",), project="operators"),
    "member": Persona(roles=("member",)),
    "reader": Persona(roles=("reader",)),
    "member and reader": Persona(roles=("member", "reader")),
    "member of another project": Persona(roles=("member", "reader"), project=OTHER),
    "service": Persona(roles=("service",), project="services"),
    "no role": Persona(),
    "unknown role": Persona(roles=("_member_",)),
    "no project": Persona(roles=("member", "reader"), project=None),
    "lb admin": Persona(roles=("load-balancer_admin",), project="operators"),
    "lb member": Persona(roles=("load-balancer_member",)),
    "lb observer": Persona(roles=("load-balancer_observer",)),
    "lb global observer": Persona(roles=("load-balancer_global_observer",), project="operators"),
    "lb quota admin": Persona(roles=("load-balancer_quota_admin",), project="operators"),
    "system admin": Persona(roles=("admin", "reader"), project=None, scope="all"),
    "system reader": Persona(roles=("reader",), project=None, scope="all"),
    "domain admin": Persona(roles=("admin",), project=None, domain="default"),
}
