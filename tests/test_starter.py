"""What is started in a moment is what a user starts: `tests.starter`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests import starter
from tests.processes import begin, onlinedpo, start


def look(at: str) -> None:
    """In a child: what it was forked with."""
    threads = len(os.listdir("/proc/self/task"))
    names = ("mlx.core", "transformers", "tokenizers", "onlinedpo.engine.loop")
    there = [name for name in names if name in sys.modules]
    Path(at).write_text(json.dumps([threads, there]))


@pytest.mark.skipif(sys.platform != "linux", reason="children are spawned, or no /proc")
def test_a_child_is_forked_with_all_imports_and_a_single_thread(tmp_path: Path) -> None:
    """Nothing was computed before the fork, which threads of MLX would not survive."""
    child = starter.child_of(look, str(tmp_path / "seen"))
    child.join()

    threads, there = json.loads((tmp_path / "seen").read_text())
    assert threads == 1
    assert len(there) == 4


def test_it_tells_and_ends_as_a_plain_process_does(tmp_path: Path) -> None:
    """The same words and exit codes, of success and of a mistake."""
    for arguments in (("--version",), ("status", tmp_path / "none"), ("run", "--no")):
        plain = start(*arguments)
        output, _ = plain.communicate(timeout=60)
        quick = onlinedpo(*arguments)
        assert (quick.code, quick.output) == (plain.returncode, output)


def test_a_kill_hits_the_child_alone() -> None:
    """The next one begins as if nothing had happened; each has a session of its own."""
    child = begin("run", "--help")
    child.kill()
    assert child.ended().code in (0, -9)
    child.close()

    assert onlinedpo("--version").code == 0
