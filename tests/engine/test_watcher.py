"""A saved file wakes the run at once; where nothing can, the run is told, and looks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import watchdog.observers
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver
from watchdog.utils import BaseThread

from onlinedpo.engine import watcher as watcher_module
from onlinedpo.engine.watcher import WITH_EVENTS, WITHOUT, Watcher

PATIENCE = 0.5
"""Tests need not wait as long as a network drive may take."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every watcher here lose patience soon."""
    monkeypatch.setattr(watcher_module, "PATIENCE", PATIENCE)


class Watched:
    """A folder that is watched, and what was said of it."""

    def __init__(self, *folders: Path) -> None:
        self.folder, *_ = self.folders = folders
        self.said: list[str] = []
        self.before = set(threading.enumerate())
        self.watcher = Watcher(folders, self.said.append)

    def quiet(self, seconds: float = 0.1) -> None:
        """Wait until the events of what was done so far have come."""
        while self.watcher.wait(seconds):
            pass

    def threads(self) -> set[threading.Thread]:
        """The threads that the watcher runs."""
        return set(threading.enumerate()) - self.before

    def wait_until(self, holds: Callable[[], bool], seconds: float = 6.0) -> bool:
        """Wait, as a run does, until something holds."""
        until = time.monotonic() + seconds
        while not holds() and time.monotonic() < until:
            self.watcher.wait(0.1)
        return holds()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A folder with one file in it, watched; nothing has happened yet."""
    folder = tmp_path / "todo"
    folder.mkdir()
    (folder / "a.md").write_text("choice:")
    watched = Watched(folder)
    watched.quiet()
    with watched.watcher:
        yield watched


def create(folder: Path) -> None:
    """Somebody drops a file."""
    (folder / "b.jsonl").write_text("{}")


def write_in_place(folder: Path) -> None:
    """An editor that truncates and writes."""
    (folder / "a.md").write_text("choice: 1")


def append(folder: Path) -> None:
    """A program that goes on writing."""
    with (folder / "a.md").open("a") as file:
        file.write("more")


def replace(folder: Path) -> None:
    """An editor that writes elsewhere and renames onto the file."""
    other = folder.parent / "new"
    other.write_text("choice: 2")
    other.rename(folder / "a.md")


def replace_from_beside(folder: Path) -> None:
    """One that writes its new version beside the file."""
    (folder / ".a.swp").write_text("choice: 2")
    (folder / ".a.swp").rename(folder / "a.md")


def delete(folder: Path) -> None:
    """The file is gone."""
    (folder / "a.md").unlink()


def move_away(folder: Path) -> None:
    """The file is elsewhere now."""
    (folder / "a.md").rename(folder.parent / "a.md")


@pytest.mark.parametrize(
    "change",
    [
        create,
        write_in_place,
        append,
        replace,
        replace_from_beside,
        delete,
        move_away,
    ],
)
def test_each_way_of_saving_wakes_at_once(
    watched: Watched, change: Callable[[Path], None]
) -> None:
    """However an editor or a program changes the folder, and not only the first time.

    A file that is moved away takes half a second: it might turn up again.
    """
    began = time.monotonic()
    change(watched.folder)
    assert watched.watcher.wait(5.0)
    assert time.monotonic() - began < 1.0
    watched.quiet(0.6)
    (watched.folder / "c.md").write_text("another")
    assert watched.watcher.wait(5.0)
    assert watched.said == []


def test_what_happened_before_the_wait_is_not_lost(watched: Watched) -> None:
    """A change while the run was busy: the next wait returns at once, once."""
    create(watched.folder)
    time.sleep(0.2)
    assert watched.watcher.woken()
    assert not watched.watcher.woken()


def test_our_own_reading_does_not_wake(watched: Watched) -> None:
    """Otherwise each look at the folder would be the cause of the next one."""
    for _ in range(3):
        for entry in os.scandir(watched.folder):
            entry.stat()
            Path(entry.path).read_bytes()
    assert not watched.watcher.wait(0.5)


def test_waiting_costs_nothing_and_lasts_as_long_as_asked(watched: Watched) -> None:
    """No loop runs meanwhile, in no thread."""
    began, used = time.monotonic(), time.process_time()
    assert not watched.watcher.wait(2.0)
    assert time.process_time() - used < 0.02
    assert 1.9 < time.monotonic() - began < 3.0


def test_a_folder_below_is_not_watched(watched: Watched) -> None:
    """What happens there is nobody's answer; but that it was made is told."""
    below = watched.folder / "below"
    below.mkdir()
    assert watched.watcher.wait(5.0)
    watched.quiet()
    create(below)
    assert not watched.watcher.wait(0.5)


def test_all_folders_are_watched(tmp_path: Path) -> None:
    """Two of them, one watcher; no probe is left behind in either."""
    folders = [tmp_path / "todo", tmp_path / "inbox"]
    for folder in folders:
        folder.mkdir()
    watched = Watched(*folders)
    with watched.watcher:
        for folder in folders:
            watched.quiet()
            assert list(folder.iterdir()) == []
            create(folder)
            assert watched.watcher.wait(5.0)
        assert watched.watcher.period == WITH_EVENTS


def recreated(folder: Path) -> None:
    """Somebody deletes the folder and makes it anew: often with the same number."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.mkdir()


def swapped(folder: Path) -> None:
    """Another folder takes its place, as when a backup is put back."""
    folder.rename(folder.parent / "old")
    folder.mkdir()


def away_for_a_while(folder: Path) -> None:
    """The folder is back only after a while."""
    folder.rename(folder.parent / "old")
    time.sleep(0.3)
    (folder.parent / "old").rename(folder)


@pytest.mark.parametrize("change", [recreated, swapped, away_for_a_while])
def test_a_folder_that_is_made_anew_is_watched_again(
    watched: Watched, change: Callable[[Path], None]
) -> None:
    """Nobody need start the run again."""
    change(watched.folder)
    time.sleep(PATIENCE)
    watched.quiet()
    create(watched.folder)
    assert watched.watcher.wait(1.0)
    assert watched.watcher.period == WITH_EVENTS
    assert watched.said == []


def test_a_folder_that_is_not_there_is_watched_once_it_is(tmp_path: Path) -> None:
    """Until then the run looks more often; that it appears wakes the run."""
    folder, other = tmp_path / "todo", tmp_path / "inbox"
    other.mkdir()
    watched = Watched(folder, other)
    with watched.watcher:
        watched.quiet()
        assert watched.watcher.period == WITHOUT
        create(other)
        assert watched.watcher.wait(5.0)
        watched.quiet()
        time.sleep(PATIENCE)
        folder.mkdir()
        assert watched.watcher.woken()
        watched.quiet()
        assert watched.watcher.period == WITH_EVENTS
        create(folder)
        assert watched.watcher.wait(5.0)
    assert watched.said == []


@pytest.mark.parametrize("which", range(3))
def test_a_thread_that_died_is_said_once_and_looks_are_more_frequent(
    watched: Watched, which: int
) -> None:
    """Whichever of watchdog's threads it is; the others are then stopped too."""
    threads = sorted(watched.threads(), key=lambda thread: type(thread).__name__)
    if which >= len(threads):
        pytest.skip(f"watchdog has {len(threads)} threads here")
    cast(BaseThread, threads[which]).stop()
    threads[which].join(2.0)
    assert not threads[which].is_alive()
    assert watched.wait_until(lambda: bool(watched.said))
    assert watched.watcher.period == WITHOUT
    assert not watched.wait_until(lambda: len(watched.said) > 1, seconds=0.4)
    assert watched.threads() == set(), "nothing runs on in vain"
    (said,) = watched.said
    assert "broke off" in said and "every 2 s" in said


class Deaf(PollingObserver):
    """Watches in such a way that no event ever comes, as on a network drive."""

    def __init__(self) -> None:
        super().__init__(timeout=1_000_000)


def test_a_folder_without_events_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network drive: the run says so, and looks every two seconds."""
    monkeypatch.setattr(watchdog.observers, "Observer", Deaf)
    watched = Watched(tmp_path)
    with watched.watcher:
        assert watched.watcher.period == WITHOUT
        assert not watched.wait_until(lambda: bool(watched.said), PATIENCE - 0.2)
        assert watched.wait_until(lambda: bool(watched.said))
        assert not watched.wait_until(lambda: len(watched.said) > 1, seconds=0.5)
        assert watched.watcher.period == WITHOUT
    (said,) = watched.said
    assert said.startswith(f"{tmp_path} announces no changes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_where_watching_cannot_begin_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The system's limits on watching are met: said once, with the reason."""

    chosen: Any = watchdog.observers.Observer

    class Limited(chosen):  # type: ignore[misc]
        def on_thread_start(self) -> None:
            # Some folders can be watched, and one too many cannot.
            super().on_thread_start()
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(watchdog.observers, "Observer", Limited)
    watched = Watched(tmp_path)
    with watched.watcher:
        assert not watched.watcher.wait(0.05)
        assert watched.watcher.period == WITHOUT
        (said,) = watched.said
        assert os.strerror(number) in said
    assert watched.threads() == set()


def open_files() -> list[str]:
    """What this process has open, where the system tells."""
    return os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []


def test_closing_is_quick_leaves_nothing_and_can_be_done_twice(tmp_path: Path) -> None:
    """No thread and no file is left, after ten watchers, and waiting is still safe."""
    before = len(open_files())
    for _ in range(10):
        watched = Watched(tmp_path)
        began = time.monotonic()
        watched.watcher.close()
        watched.watcher.close()
        assert time.monotonic() - began < 1.0
        assert watched.threads() == set()
        watched.watcher.woken()
        assert watched.watcher.period == WITHOUT
    assert len(open_files()) <= before


def test_a_thread_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network drive that does not answer: the run ends all the same."""
    hangs = threading.Event()

    class Hanging(PollingObserver):
        def on_thread_stop(self) -> None:
            hangs.wait(5.0)

    chosen: Callable[..., BaseObserver] = Hanging
    monkeypatch.setattr(watchdog.observers, "Observer", chosen)
    watched = Watched(tmp_path)
    began = time.monotonic()
    watched.watcher.close()
    assert time.monotonic() - began < 1.0
    hangs.set()


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """Importing the module does not load watchdog: most runs wait for nobody."""
    code = "import sys, onlinedpo.engine.watcher; print('watchdog' in sys.modules)"
    links = Path(__file__).parents[1] / "links"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(links)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
