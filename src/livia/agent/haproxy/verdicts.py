"""HAProxy is told which members the agent found up or down: it does not check those itself. Pure.

`set server ... health` works on servers without `check` (management guide, section 9.3), and so does the column
srv_op_state of a server-state file (same section, `show servers state`); both hold until the next such command.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import TypeAlias

from livia.agent.haproxy.wiring import backend_name, backends
from livia.agent.probes.target import MemberKey, probed
from livia.core.spec import PoolSpec, Spec

#: (pool id, member id) to whether the member may get traffic
Up: TypeAlias = Callable[[str, str], bool]

_COLUMNS = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)
#: srv_op_state (same section): 0 is SRV_ST_STOPPED
_ROW = "0 {backend} 0 {server} {address} 0 0 {weight} {weight} 0 1 0 0 0 0 0 0 - {port} - 0 0 - - 0"


def checked(pool: PoolSpec) -> bool:
    """Whether HAProxy checks the servers of this pool."""
    return pool.monitor is not None and not probed(pool)


def commands(spec: Spec, members: Iterable[MemberKey], up: Up) -> list[str]:
    """What tells HAProxy the verdicts on these members, for each listener that uses them. One that it does not have
    is no error of anybody: the spec may just be changing."""
    wanted = set(members)
    return [
        _command(f"{backend_name(pool.id, listener.id)}/{member.id}", up=up(pool.id, member.id))
        for listener, pool in backends(spec)
        if not checked(pool)
        for member in pool.members
        if (pool.id, member.id) in wanted
    ]


def corrections(spec: Spec, statuses: Mapping[tuple[str, str], str], up: Up) -> list[str]:
    """What is to be told where HAProxy thinks otherwise: its worker began anew, a monitor is gone, a member's address
    is another. `statuses`: what it says of (backend, server)."""
    found = list[str]()
    for listener, pool in backends(spec):
        if checked(pool):
            continue
        backend = backend_name(pool.id, listener.id)
        for member in pool.members:
            status = statuses.get((backend, member.id), "MAINT")
            wanted = up(pool.id, member.id)
            # Servers in maintenance have no health.
            if not status.startswith("MAINT") and status.startswith("DOWN") is wanted:
                found.append(_command(f"{backend}/{member.id}", up=wanted))
    return found


def state_rows(spec: Spec, up: Up) -> list[str]:
    """Lines of a server-state file, without its head: dead members do not start up."""
    return [
        _ROW.format(
            backend=backend_name(pool.id, listener.id),
            server=member.id,
            address=ip_address(member.address),
            weight=member.weight,
            port=member.port,
        )
        for listener, pool in backends(spec)
        if probed(pool)
        for member in pool.members
        if member.enabled and not up(pool.id, member.id)
    ]


def state_file(rows: Iterable[str]) -> str:
    """A server-state file of version 1."""
    return "\n".join(["1", _COLUMNS, *rows, ""])


def _command(path: str, *, up: bool) -> str:
    return f"set server {path} health {'up' if up else 'down'}"
