"""The end of flows whose member was taken away, so that nobody waits for an answer in vain.

A flow that ends takes the translation of addresses with it: an answer that is under way then comes from an address that
its client never asked. The packet rules note in each flow's mark whether its client waits (AWAITED), and the kernel
ends those that do not.
"""

import time
from collections.abc import Set
from contextlib import closing

from livia.agent.datagram.conntrack import Conntrack

#: seconds that clients' answers are waited for at least
_PATIENCE = 0.5
#: looks that are made at least: where the agent seldom gets a CPU, half a second may go by between two, and clients
#: that ask on and on are answered in between, unseen
_LOOKS = 40
#: seconds before each look, of which each walks through the kernel's whole table
_PAUSE = 0.005


def await_answers(namespace: str, marks: Set[int]) -> None:
    """End the flows of these members, which get no new ones any more, each when its client has been answered. Those
    that are left after half a second of many looks stay. Raises OSError.
    """
    if not marks:
        return
    deadline = time.monotonic() + _PATIENCE
    looks = 0
    with closing(Conntrack(namespace)) as follow:
        # Also before the first look: the kernel lists the flow of a packet that it sent by the rules of a moment ago
        # only when the packet leaves.
        time.sleep(_PAUSE)
        waited_for = set(marks) if follow.occupied()[0] else set()
        while waited_for and (looks < _LOOKS or time.monotonic() < deadline):
            for mark in waited_for:
                follow.end_answered(mark)
            waited_for = {mark for mark in waited_for if follow.has(mark)}
            looks += 1
            time.sleep(_PAUSE if waited_for else 0)
