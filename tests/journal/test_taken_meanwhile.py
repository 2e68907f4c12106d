"""A name that somebody takes at the instant in which a file would get it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from onlinedpo.journal import atomic, disk_errors
from onlinedpo.states.errors import OnlineDPOError, StorageError
from tests.crash.calls import Call, failing, watched

THEIRS, OURS = b"of somebody else", b"ours"


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EPERM])
def test_a_file_that_comes_there_meanwhile_is_not_written_over(
    number: int, tmp_path: Path
) -> None:
    """Where there are hard links, and where there are none."""
    path = tmp_path / "file"

    def fault(call: Call) -> OSError | None:
        if call.name != "link":
            return None
        path.write_bytes(THEIRS)
        return failing(number)

    with watched(fault):
        assert not atomic.create(path, OURS)
    assert path.read_bytes() == THEIRS
    assert [*tmp_path.iterdir()] == [path]


def test_the_folders_above_a_temporary_one_are_made(tmp_path: Path) -> None:
    """As far as they are missing."""
    temporary = atomic.make_temporary(tmp_path / "a" / "b" / "new")
    assert temporary == tmp_path / "a" / "b" / ".tmp-new"
    assert [*temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StorageError), (errno.EXDEV, OnlineDPOError)],
)
def test_what_no_disk_is_to_blame_for_is_not_told_as_that(
    number: int, kind: type[OnlineDPOError], tmp_path: Path
) -> None:
    """Only a full, broken or locked one has to be seen to before the run goes on."""
    told = disk_errors.told(failing(number, tmp_path / "file"))
    assert type(told) is kind
    assert str(told).startswith(f"{tmp_path}/file: ")
    assert "nothing that was acknowledged is lost" in told.hint.lower()
