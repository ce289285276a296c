"""The end of flows whose member was taken away, so that nobody waits for an answer in vain.

A flow that ends takes the translation of addresses with it: an answer that is under way then comes from an address that
its client never asked. The packet rules note in each flow's mark whether its client waits (AWAITED), and the kernel
ends those that do not.
"""

import time
from collections.abc import Set
from contextlib import closing

from livia.agent.datagram.conntrack import Conntrack

#: seconds that clients' answers are waited for
_PATIENCE = 0.5
#: seconds between two looks, of which each walks through the kernel's whole table
_PAUSE = 0.005


def await_answers(namespace: str, marks: Set[int]) -> None:
    """End the flows of these members, each when its client has been answered. Those that are left after half a second
    stay. Raises OSError.
    """
    if not marks:
        return
    deadline = time.monotonic() + _PATIENCE
    with closing(Conntrack(namespace)) as follow:
        waited_for = set(marks) if follow.occupied()[0] else set()
        while waited_for:
            for mark in waited_for:
                follow.end_answered(mark)
            waited_for = {mark for mark in waited_for if follow.has(mark)}
            if time.monotonic() >= deadline:
                return
            if waited_for:
                time.sleep(_PAUSE)
