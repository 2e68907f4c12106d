"""The call that puts bytes on the disk, and the file object that MLX writes into."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path

import pytest

from onlinedpo.journal import disk
from onlinedpo.journal.lock import Lock
from tests.crash.calls import watched


@pytest.mark.parametrize(
    ("full", "made"),
    [
        # As on macOS: a call that works stands in for it here.
        (fcntl.F_GETFD, []),
        # As on its network drives, which do not know it.
        (-1, ["sync"]),
    ],
)
def test_a_full_sync_is_asked_for_where_there_is_one(
    full: int, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the plain one only where that fails."""
    with watched() as calls:
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", full, raising=False)
        disk.write_synced(tmp_path / "file", b"x")

    assert [call.name for call in calls.made if call.name == "sync"] == made


def test_a_file_that_is_written_into_knows_its_length_and_digest(
    tmp_path: Path,
) -> None:
    """It cannot be rewound; and it is a new file."""
    path = tmp_path / "file"
    with disk.Output(path) as output:
        assert output.write(b"one") == 3
        assert output.write(memoryview(b"three").cast("B")) == 5
        assert output.tell() == 8
        with pytest.raises(OSError, match="no other place than its end"):
            output.seek(0)
        assert output.digest == hashlib.sha256(b"onethree").hexdigest()
    assert path.read_bytes() == b"onethree"
    with pytest.raises(FileExistsError, match="file"):
        disk.Output(path)


def test_where_not_even_a_file_can_be_locked_no_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would write it; nothing is kept open."""

    def flock(fd: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="No locks available"):
        Lock(tmp_path)
    assert os.listdir("/dev/fd") == before
