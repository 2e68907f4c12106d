"""A name that leads elsewhere, or to what has no end, is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onlinedpo.journal import plain_files


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
