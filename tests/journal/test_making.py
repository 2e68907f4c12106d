"""A new folder appears whole, and one process makes it at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal.making import making
from onlinedpo.states.errors import RunLocked
from tests.meanwhile import just_before


def test_a_folder_appears_when_all_is_in_it(tmp_path: Path) -> None:
    """Under its own name there is nothing before that, and nothing beside it after."""
    new = tmp_path / "made" / "new"
    with making(new) as half:
        (half / "file").write_bytes(b"x")
        assert not new.exists()

    assert (new / "file").read_bytes() == b"x"
    assert [*new.parent.iterdir()] == [new]


def test_what_a_crash_left_is_not_in_it(tmp_path: Path) -> None:
    """Files and folders of the one that was being made before."""
    left = tmp_path / ".tmp-new"
    (left / "folder").mkdir(parents=True)
    (left / "folder" / "a").write_bytes(b"old")
    (left / "b").write_bytes(b"old")

    with making(tmp_path / "new") as half:
        (half / "file").write_bytes(b"x")

    assert [path.name for path in tmp_path.rglob("*")] == ["new", "file"]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    """And it can be made then."""
    with pytest.raises(ZeroDivisionError), making(tmp_path / "new") as half:
        (half / "file").write_bytes(b"x")
        1 / 0  # noqa: B018
    assert [*tmp_path.iterdir()] == []
    with making(tmp_path / "new"):
        pass
    assert [*tmp_path.iterdir()] == [tmp_path / "new"]


def test_while_one_makes_it_another_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """The first one goes on to its end."""
    with making(tmp_path / "new") as half:
        (half / "file").write_bytes(b"x")
        with (
            pytest.raises(RunLocked, match="new: another process is making it"),
            making(tmp_path / "new"),
        ):
            raise AssertionError("two make it")
        assert (half / "file").exists()

    assert (tmp_path / "new" / "file").exists()


def test_what_came_there_meanwhile_stays(tmp_path: Path) -> None:
    """Somebody else's folder with something in it is not replaced."""
    with (
        pytest.raises(RunLocked, match="has made it meanwhile") as told,
        making(tmp_path / "new") as half,
    ):
        (half / "file").write_bytes(b"ours")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "file").write_bytes(b"theirs")

    assert "give a new folder" in told.value.hint
    assert (tmp_path / "new" / "file").read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [tmp_path / "new"]


def test_a_file_that_came_there_meanwhile_stays(tmp_path: Path) -> None:
    """It is the system that says no."""
    new = tmp_path / "new"
    with pytest.raises(NotADirectoryError), making(new):
        new.write_bytes(b"theirs")

    assert new.read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [new]


def test_another_that_is_done_at_that_instant_is_told(tmp_path: Path) -> None:
    """It has given the folder its name since it was seen to make it."""
    new, half = tmp_path / "new", tmp_path / ".tmp-new"
    half.mkdir()
    (half / "file").write_bytes(b"theirs")
    with (
        just_before("open", lambda: half.rename(new), half),
        pytest.raises(RunLocked, match="new: another process is making it"),
        making(new),
    ):
        raise AssertionError("two make it")
    assert (new / "file").read_bytes() == b"theirs"
