"""A name that leads elsewhere, or to what has no end, is not read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onlinedpo.journal import plain_files
from onlinedpo.journal.disk_errors import NoPlainFile, told
from onlinedpo.journal.lock import Lock, holder
from onlinedpo.journal.present import is_file
from tests.crash.hostile.hostile import within


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """What waits for a pipe fails, and does not wait for ever."""
    with within(20):
        yield


def test_an_ordinary_file_is_read_as_far_as_is_asked(tmp_path: Path) -> None:
    """And a name that nobody bears holds nothing."""
    (tmp_path / "file").write_bytes(b"12345")
    assert plain_files.read(tmp_path / "file", 3) == b"123"
    assert plain_files.held(tmp_path / "file", 9) == b"12345"
    assert plain_files.held(tmp_path / "nobody", 9) is None


def test_a_link_that_took_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Also between the look at a folder and the reading; unless it is asked for."""
    (tmp_path / "secret").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match=str(link)):
        plain_files.read(link, 9)
    assert plain_files.held(link, 9) is None
    assert plain_files.held(link, 9, follow=True) == b"secret"


def test_a_pipe_a_device_and_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into the pipe: to read it would take for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "device", "folder"):
        assert plain_files.held(tmp_path / name, 9, follow=True) is None


def test_a_file_that_no_run_writes_is_not_read_whole(tmp_path: Path) -> None:
    """It takes no room on the disk, and would take all of the memory."""
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, plain_files.LARGEST + 1)
    with pytest.raises(NoPlainFile) as refused:
        plain_files.contents(file)
    error = told(refused.value)
    assert str(error) == f"{file}: it is larger than 1024 MB, which no run writes"
    assert error.hint == "Put the file itself there, as it was."


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("secret")])
def test_a_lock_that_is_a_pipe_or_a_link_is_told_as_that(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    """What a link leads to is not written, nor shown as who has the run."""
    (tmp_path / "secret").write_bytes(b"secret")
    make(tmp_path / "lock")
    assert holder(tmp_path) is None
    with pytest.raises(NoPlainFile) as refused:
        Lock(tmp_path)
    assert str(told(refused.value)) == f"{tmp_path}/lock: it is no ordinary file"
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_file_is_what_bears_its_name_or_what_a_link_leads_to(tmp_path: Path) -> None:
    """Neither a folder nor a pipe is one, nor is a link to nowhere."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, target in (("link", "file"), ("broken", "nowhere")):
        (tmp_path / name).symlink_to(target)
    names = ("file", "link", "folder", "pipe", "broken", "nothing", "file/x")
    assert [name for name in names if is_file(tmp_path / name)] == ["file", "link"]
