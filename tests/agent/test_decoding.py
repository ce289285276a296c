"""Threads read what was written, each at once: msgspec looks at a type when it is first decoded, and is not alone."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec

import livia
from livia.agent.disk import AmphoraDirectory, Record
from livia.core.spec import Assignment
from tests.core.test_spec import policy, spec

_THREADS = """
import sys
from pathlib import Path
from threading import Barrier, Thread

from livia.agent.disk import AmphoraDirectory

sys.setswitchinterval(1e-6)
directory, together = AmphoraDirectory(Path(sys.argv[1])), Barrier(8)

def read():
    together.wait()
    assert directory.read_record() is not None

threads = [Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_records_are_read_by_threads_of_a_young_process(tmp_path: Path) -> None:
    wanted = spec(policy())
    record = Record(assignment=Assignment(fence=1, generation=1, spec=wanted), digest="d")
    AmphoraDirectory(tmp_path).write_record(record, msgspec.json.encode(wanted))
    for _ in range(8):
        done = subprocess.run([sys.executable, "-c", _THREADS, str(tmp_path)], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_no_decoder_is_made_where_threads_are() -> None:
    """`decode(..., type=...)` makes one with each first use of a type."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in Path(livia.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "decode"
        if any(keyword.arg == "type" for keyword in node.keywords)
    ]
    assert found == []
