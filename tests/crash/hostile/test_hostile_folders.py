"""Hard links, folders that may not be used, what is cleared away, parts elsewhere."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.states.errors import RunLocked, StorageError
from tests.conftest import Count
from tests.crash.hostile.hostile import Waiting, everything, within
from tests.crash.hostile.traps import Trap, to_folder, to_itself, to_nothing, to_secret
from tests.engine.runs import Scripted, by_text
from tests.nobody import as_nobody
from tests.people.kit import Parts
from tests.people.runs import work
from tests.processes import onlinedpo
from tests.toys import prompts_file, toy_model

# -- what is hard-linked, and what may not be read or written --------------------------


def test_a_file_with_another_name_elsewhere_is_never_changed(
    run: Waiting, outside: Path
) -> None:
    """A hard link is a file like others: it is read and moved, never written into."""
    ask, other, third = run.asks()
    mine = outside / "mine.md"
    mine.write_bytes(run.answered(ask))
    unread = outside / "unread.md"
    unread.write_bytes(run.file(third).read_bytes())
    run.file(ask).unlink()
    os.link(mine, run.file(ask))
    run.file(third).unlink()
    os.link(unread, run.file(third))
    before = everything(outside)
    run.look()
    assert "taken back" in onlinedpo("label", run.folder, keys=b"12uq").output
    run.look()

    assert run.votes()[0].raw == mine.read_bytes()
    assert {v.ticket for v in run.votes()} >= {ask.ticket, other.ticket}
    assert everything(outside) == before


@pytest.mark.parametrize("part", ["todo", "done", "inbox"])
def test_a_folder_that_may_not_be_written_costs_nothing(part: str) -> None:
    """An answer is journalled once, however often its file cannot be moved."""
    with as_nobody() as place, within(30):
        run = Waiting(place)
        ask, other, _ = run.asks()
        raw = run.answered(ask)
        run.file(ask).write_bytes(raw)
        row = {"id": str(other), "choice": "1"}
        (run.labels / "inbox" / "a.jsonl").write_text(json.dumps(row) + "\n")
        (run.labels / part).chmod(0o555)
        for _ in range(5):
            with pytest.raises(PermissionError):
                run.look()
            with suppress(PermissionError):
                run.inbox.start_over()
        before = [vote.raw for vote in run.votes()]
        (run.labels / part).chmod(0o755)
        run.look()

        assert len(before) <= 2
        assert sorted(vote.ticket for vote in run.votes()) == [ask.ticket, other.ticket]
        assert (run.labels / "done" / f"{ask}.md").read_bytes() == raw
        assert (run.labels / "done" / "a.jsonl").exists()
        assert run.stands_still()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_a_file_that_may_not_be_moved_is_an_answer_once() -> None:
    """As in a shared folder with the sticky bit; when it may be, it goes to done/."""
    with as_nobody() as place, within(30):
        run = Waiting(place)
        ask, raw = run.asks()[0], run.answered(run.asks()[0])
        copy = run.labels / "todo" / "copy.md"
        os.seteuid(0)
        copy.write_bytes(raw)
        os.chown(run.labels / "todo", 0, 0)
        (run.labels / "todo").chmod(0o1777)
        os.seteuid(65534)
        for _ in range(5):
            with suppress(PermissionError):
                run.look()
            with suppress(PermissionError):
                run.inbox.start_over()
        before = [vote.raw for vote in run.votes()]
        os.seteuid(0)
        os.chown(copy, 65534, 65534)
        os.seteuid(65534)
        run.look()

        assert before == [raw] == [vote.raw for vote in run.votes()]
        assert [v.ticket for v in run.votes()] == [ask.ticket]
        assert (run.labels / "done" / "copy.md").read_bytes() == raw
        assert run.stands_still()


@pytest.mark.parametrize("part", ["todo", "done", "inbox"])
def test_a_folder_that_may_not_be_read_is_told_of(part: str) -> None:
    """Nothing in it is taken for gone; once it may be read all goes on."""
    with as_nobody() as place, within(30):
        run = Waiting(place)
        ask = run.asks()[0]
        run.file(ask).write_bytes(run.answered(ask))
        (run.labels / part).chmod(0)
        with pytest.raises(PermissionError):
            run.look()
        (run.labels / part).chmod(0o755)
        run.look()

        assert len(run.votes()) == 1
        assert run.stands_still()


def test_folders_are_not_made_where_a_run_lay_before(run: Waiting) -> None:
    """It was moved at the very moment in which its label folders were missed."""
    run.folder.rename(moved := run.folder.with_name("moved"))
    with pytest.raises(OSError, match="No such file"):
        run.look()
    with pytest.raises(RunLocked, match="this run was moved"):
        run.inbox.start_over()

    assert not run.folder.exists()
    assert (moved / "labels" / "todo").is_dir()


# -- what is cleared away --------------------------------------------------------------


@pytest.mark.parametrize("trap", [to_secret, to_folder, to_nothing, to_itself])
def test_clearing_away_follows_no_link(
    trap: Trap, tmp_path: Path, outside: Path, count: Count
) -> None:
    """A temporary name, a checkpoint to be pruned: the link goes, and nothing else."""
    before = everything(outside)
    place = tmp_path / "checkpoints"
    place.mkdir()
    for name in (".tmp-step-000001", ".tmp-step-000002", "step-000003", "tree"):
        trap(place / name, outside)
    atomic.make_temporary(place / "step-000001").rmdir()
    atomic.clear_temporary(place)
    atomic.remove_folder(place / "step-000003")
    disk.remove_tree(place / "tree")

    assert list(place.iterdir()) == []
    assert everything(outside) == before
    count("links, pipes and the like", 4)


def test_what_a_person_calls_temporary_stays(run: Waiting, outside: Path) -> None:
    """In the labels folders only names that this program gives are cleared away."""
    todo = run.labels / "todo"
    (todo / ".tmp-mine").mkdir()
    (todo / ".tmp-mine" / "a.md").write_bytes(b"theirs")
    (todo / ".tmp-b.md").write_bytes(b"theirs")
    (todo / ".tmp-link").symlink_to(outside)
    (todo / ".tmp-c.md-0badcafe").write_bytes(b"half-written")
    before = everything(outside)
    run.restart()

    assert (todo / ".tmp-mine" / "a.md").read_bytes() == b"theirs"
    assert (todo / ".tmp-b.md").exists() and (todo / ".tmp-link").is_symlink()
    assert not (todo / ".tmp-c.md-0badcafe").exists()
    assert everything(outside) == before


def test_no_folder_is_offered_where_a_name_is_taken(
    run: Waiting, monkeypatch: pytest.MonkeyPatch, outside: Path
) -> None:
    """Also on drives without hard links, where a dangling link bears the name."""

    def no_links(source: Path, path: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(disk, "hard_link", no_links)
    path = run.labels / "todo" / "new.md"
    path.symlink_to(outside / "not-there")

    assert not LabelFolder(run.labels).offer("new.md", b"ours")
    assert path.is_symlink() and not (outside / "not-there").exists()


# -- parts of a run on other disks -----------------------------------------------------


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A toy model and its prompts."""
    place = tmp_path_factory.mktemp("toy")
    model, data = toy_model(place / "toy"), prompts_file(place / "data")
    return {"model": str(model), "data": str(data)}


PARTS = ("journal", "checkpoints", "adapters", "labels", "quarantine")


def test_parts_of_a_run_may_lie_on_another_disk(
    settings: Parts, tmp_path: Path
) -> None:
    """Journal, checkpoints and the rest as links, made while the run rests.

    It comes to the same as one without, and each link is there after.
    """
    plain, linked, other = (tmp_path / name for name in ("plain", "linked", "disk"))
    other.mkdir()
    script = Scripted(by_text)
    whole = work(plain, None, script, **settings, iters=2)
    work(linked, None, script, **settings, iters=1)
    for part in PARTS:
        (other / part).mkdir(exist_ok=True)
        if (linked / part).exists():
            (other / part).rmdir()
            (linked / part).rename(other / part)
        (linked / part).symlink_to(other / part)
    ended = work(linked, None, script, iters=2)

    assert ended.state == whole.state
    assert all((linked / part).is_symlink() for part in PARTS)
    assert list((other / "checkpoints").glob("step-*"))


@pytest.mark.parametrize("part", PARTS[:3])
def test_a_part_whose_disk_is_away_is_refused(
    part: str, settings: Parts, tmp_path: Path
) -> None:
    """The error names it; nothing else is made in its place, and it goes on after."""
    run, other = tmp_path / "run", tmp_path / "disk"
    script = Scripted(by_text)
    work(run, None, script, **settings, iters=1)
    (run / part).rename(other)
    (run / part).symlink_to(other)
    other.rename(tmp_path / "away")
    before = everything(run)
    with pytest.raises(StorageError, match=f"{part} is a link to .*, which is not"):
        work(run, None, script, iters=2)

    assert everything(run) == before
    (tmp_path / "away").rename(other)
    assert work(run, None, script, iters=2).ledger.steps == 2
