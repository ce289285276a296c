"""Which writes are accepted while a change is under way, in both modes (docs/extensions.md)."""

import pytest
from sqlalchemy import update

from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import Harness, Tree
from tests.api.writes import Write, writes

PENDING = ("PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE")


def _about(write: Write) -> bool:
    """Whether it changes the tree's load balancer, or something of it."""
    amphora = "/amphorae/" in write.path and not write.path.endswith("/failover")
    return write.wakes and not amphora and (write.method, write.path) != ("POST", "/loadbalancers")


def _accepted(write: Write, tree: Tree, status: str, strict: bool) -> bool:
    own = write.path.startswith(tree.paths["loadbalancer"])
    if not strict:
        return write.method == "DELETE" or status != "PENDING_DELETE"
    # A load balancer in ERROR can be deleted, and failed over to mend it.
    return status == "ERROR" and own and (write.method == "DELETE" or write.path.endswith("/failover"))


def _set_statuses(harness: Harness, status: str) -> None:
    """Everything that there is has the status."""
    with harness.database.write() as connection:
        for table in t.metadata.sorted_tables:
            if "provisioning_status" in table.c:
                connection.execute(update(table).values(provisioning_status=status))


@pytest.mark.parametrize("strict", [False, True])
def test_every_write_in_every_status(harness: Harness, make: MakeHarness, strict: bool) -> None:
    tree = harness.tree()
    tried = [write for write in writes(harness, tree) if _about(write)]
    assert len(tried) > 15
    harness = make(immutable_while_pending=strict)
    for status in (*PENDING, "ERROR"):
        _set_statuses(harness, status)
        for write in tried:
            # A dry run, so that each write finds the same.
            query = "&".join(part for part in (write.query, "dry_run=true") if part)
            answer = harness.client.request(write.method, write.path, write.body, query=query)
            expected = write.status if _accepted(write, tree, status, strict) else 409
            assert answer.status == expected, (status, write, answer)
