"""What a HAProxy worker has learned from its peers: which client belongs to which member."""

import re

from livia.agent.haproxy.runtime import RuntimeApiError, Worker
from livia.core.spec import Spec

#: of the flags of a peers section: it has learned all there was, from an earlier worker and from others
#: (PEERS_RESYNC_FINISHED of HAProxy). A worker that finds nobody to learn from ends so, too, after ten seconds.
_FINISHED = 3
_FLAGS = re.compile(r"flags=0x([0-9a-f]+)")


def learned(worker: Worker, spec: Spec) -> bool:
    """Whether the worker of `spec` knows what others could teach it. One that has no table has nothing to learn, and
    of one that does not answer nothing more will be known."""
    if not spec.peers or not any(pool.persistence is not None for pool in spec.pools):
        return True
    try:
        found = _FLAGS.search(worker.ask("show peers"))
    except RuntimeApiError:
        return True
    return found is None or int(found[1], 16) & _FINISHED == _FINISHED
