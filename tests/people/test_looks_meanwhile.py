"""Files that come and go while a folder is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal.looks import Looks
from tests.meanwhile import just_before

LIMIT = 1 << 20


def test_what_is_removed_during_a_look_is_passed_over(tmp_path: Path) -> None:
    """The look goes on, and forgets it."""
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    looks = Looks(tmp_path, limit=LIMIT)
    assert [*looks.look(100.0)] == []
    look = looks.look(200.0)
    assert next(look).raw == b"a"
    (tmp_path / "b").unlink()

    assert [saved.raw for saved in look] == [b"c"]
    assert [*looks.look(300.0)] == []
    (tmp_path / "b").write_bytes(b"again")
    assert [*looks.look(400.0)] == []
    assert [saved.raw for saved in looks.look(500.0)] == [b"again"]


@pytest.mark.parametrize("call", ["open", "fstat"])
def test_what_is_saved_while_it_is_read_is_read_when_it_has_settled(
    call: str, tmp_path: Path
) -> None:
    """No mixture of the two, and not the older one."""
    path = tmp_path / "a"
    path.write_bytes(b"one")
    looks = Looks(tmp_path, limit=LIMIT)
    assert [*looks.look(100.0)] == []
    with just_before(call, lambda: path.write_bytes(b"another")):
        assert [*looks.look(200.0)] == []
    assert looks.unsettled == 1

    assert [*looks.look(300.0)] == []
    assert [saved.raw for saved in looks.look(400.0)] == [b"another"]


def test_what_is_gone_when_it_is_opened_is_passed_over(tmp_path: Path) -> None:
    """And what comes in its place is read."""
    path = tmp_path / "a"
    path.write_bytes(b"one")
    looks = Looks(tmp_path, limit=LIMIT)
    assert [*looks.look(100.0)] == []
    with just_before("open", path.unlink):
        assert [*looks.look(200.0)] == []
    path.write_bytes(b"two")
    assert [*looks.look(300.0)] == []
    assert [saved.raw for saved in looks.look(400.0)] == [b"two"]


def test_what_was_never_seen_can_be_moved(tmp_path: Path) -> None:
    """It is new in its new place, then."""
    here, there = (Looks(tmp_path / name, limit=LIMIT) for name in ("a", "b"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"x")
    here.moved("x", there, "x")
    assert [*there.look(100.0)] == []
    assert [saved.raw for saved in there.look(200.0)] == [b"x"]
