"""Several workers on one machine: each hears hints, and what a killed one held others go on with at once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from livia.drivers.wake.datagram import DatagramListener, DatagramWake
from livia.store import leases
from livia.store.engine import Database
from livia.worker.seat import Seat
from tests import database as rows

SITTING = """
import sys, time
from pathlib import Path
from livia.worker.seat import Seat
seat = Seat(Path(sys.argv[1]), "host")
print(seat.owner, flush=True)
time.sleep(60)
"""


def sitting(directory: Path) -> tuple[subprocess.Popen[str], str]:
    """Another process on a seat, and the seat's owner."""
    process = subprocess.Popen([sys.executable, "-c", SITTING, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_killed_workers_seat_is_the_next_ones_and_nobody_sits_on_anothers(tmp_path: Path) -> None:
    directory = tmp_path / "seats"
    process, first = sitting(directory)
    with process:
        mine = Seat(directory, "host")
        assert first.startswith("host:")
        assert mine.owner != first
        assert list(mine.deserted()) == []
        process.kill()
        process.wait()
    assert list(mine.deserted()) == [first]
    heir = Seat(directory, "host")
    assert heir.owner == first
    assert list(mine.deserted()) == []
    heir.close()
    mine.close()


def test_machines_of_one_name_are_told_apart(tmp_path: Path) -> None:
    seats = [Seat(tmp_path / name, "host") for name in ("one", "other")]
    assert seats[0].owner != seats[1].owner
    for seat in seats:
        seat.close()


def test_what_a_deserted_seat_held_can_be_taken(tmp_path: Path) -> None:
    database: Database = rows.fresh(tmp_path)
    process, killed = sitting(tmp_path / "seats")
    with process:
        process.kill()
    database.transaction(lambda connection: leases.take(connection, "key", killed, 60.0))
    assert database.transaction(lambda connection: leases.take(connection, "key", "other", 60.0)) is None
    seat = Seat(tmp_path / "seats", "host")
    assert database.transaction(lambda connection: leases.release_all(connection, seat.owner)) == ["key"]
    assert database.transaction(lambda connection: leases.take(connection, "key", "other", 60.0)) is not None
    seat.close()
    database.close()


def test_every_listener_hears_and_a_dead_ones_socket_goes(tmp_path: Path) -> None:
    directory = tmp_path / "wake"
    first, second, third = (DatagramListener(directory) for _ in range(3))
    wake = DatagramWake(directory)
    wake.hint("key")
    assert [each.wait(10.0) for each in (first, second, third)] == [True] * 3
    # As kill -9 does: the socket ends, its name stays.
    third._socket.close()
    wake.hint("key")
    assert [each.wait(10.0) for each in (first, second)] == [True] * 2
    assert len(list(directory.glob("*.sock"))) == 2
    second.close()
    wake.hint("key")
    assert first.wait(10.0)
    wake.close()
    first.close()


def test_a_hint_that_nobody_can_hear_is_lost_in_silence(tmp_path: Path) -> None:
    wake = DatagramWake(tmp_path / "nowhere")
    begin = time.monotonic()
    wake.hint("key")
    assert time.monotonic() - begin < 5
    wake.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists"):
        DatagramListener(tmp_path / "file")
