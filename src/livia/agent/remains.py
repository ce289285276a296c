"""What is on a host under the names of amphorae, also of those that its agent does not know: an agent was killed while
it built or removed one, or lost its files."""

from livia.agent.host import Host
from livia.agent.plumbing import kernel
from livia.agent.supervise import GROUP


def remains(host: Host) -> dict[str, tuple[str, ...]]:
    """Amphora id to what there is of it: namespace, processes, files; whether or not the agent knows the amphora."""
    prefix = f"{host.names.prefix}-"
    namespaces = {name.removeprefix(prefix) for name in kernel.named(prefix) if name != host.names.fabric}
    directory = host.amphorae_directory
    files = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    # The supervision tree has a group of its own, which is no amphora's.
    processes = host.groups.names() - {GROUP}
    kinds = {"a namespace": namespaces, "processes": processes, "files": files}
    every = sorted(set().union(*kinds.values()))
    return {each: tuple(kind for kind, ids in kinds.items() if each in ids) for each in every}
