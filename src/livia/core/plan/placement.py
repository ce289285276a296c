"""Which host an amphora goes to."""

from livia.core.model.amphora import AmphoraHost


def choose(hosts: tuple[AmphoraHost, ...], *, zone: str | None, avoid: frozenset[str]) -> AmphoraHost | str:
    """The least loaded host of the zone, away from `avoid` while there is another; or a sentence why none."""
    if not hosts:
        return "No amphora host is alive: start one, or wait for its next heartbeat."
    in_zone = [host for host in hosts if zone is None or host.availability_zone == zone]
    if not in_zone:
        return f"No amphora host of availability zone {zone} is alive."
    taking = [host for host in in_zone if not host.draining]
    if not taking:
        return "Every amphora host is being drained."
    free = [host for host in taking if host.amphora_count < host.capacity]
    if not free:
        return f"All {len(taking)} amphora hosts are full: add a host or raise its capacity."
    return min(free, key=lambda host: (host.id in avoid, host.amphora_count / host.capacity, host.id))
