"""RUN/labels: what somebody saved there is never deleted and never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal.label_folder import LabelFolder
from tests.people.runs import names


@pytest.fixture
def labels(tmp_path: Path) -> LabelFolder:
    """A folder of labels that was made."""
    folder = LabelFolder(tmp_path / "labels")
    folder.make("be kind\n")
    return folder


def test_it_is_made_with_guidelines_that_are_the_users(labels: LabelFolder) -> None:
    """They are written once; what is changed in them stays, and has another digest."""
    before = labels.guidelines_digest()
    labels.guidelines.write_text("be strict\n")
    labels.make("be kind\n")

    assert labels.guidelines.read_text() == "be strict\n"
    assert labels.guidelines_digest() not in ("", before)
    labels.guidelines.unlink()
    assert labels.guidelines_digest() == ""
    assert names(labels.path) == ["done", "inbox", "todo"]


def test_an_offer_takes_nobodys_name(labels: LabelFolder) -> None:
    """A file that is there stays as it is; no other file is left behind."""
    (labels.todo / "a.md").write_text("theirs")

    assert not labels.offer("a.md", b"ours")
    assert labels.offer("b.md", b"ours")

    assert (labels.todo / "a.md").read_text() == "theirs"
    assert (labels.todo / "b.md").read_bytes() == b"ours"
    assert names(labels.todo) == ["a.md", "b.md"]


def test_a_finished_file_takes_nobodys_name(labels: LabelFolder) -> None:
    """It goes to done/ under the name that it was given, or under a free one."""
    (labels.todo / "a.md").write_text("new")
    (labels.done / "a.md").write_text("old")
    (labels.done / "a-2.md").symlink_to("nowhere")

    assert labels.finish(labels.todo / "a.md", "a.md") == "a-3.md"
    (labels.todo / "b.md").write_text("b")
    assert labels.finish(labels.todo / "b.md", "b.md") == "b.md"
    assert labels.finish(labels.todo / "gone.md", "gone.md") == ""

    assert names(labels.todo) == []
    assert names(labels.done) == ["a-2.md", "a-3.md", "a.md", "b.md"]
    assert (labels.done / "a.md").read_text() == "old"
    assert (labels.done / "a-3.md").read_text() == "new"


def test_a_free_name_was_not_given_before(labels: LabelFolder) -> None:
    """Neither to a file that is there nor to one that was."""
    (labels.done / "a.md").write_text("old")
    taken = {"a-2.md", "a-4.md"}

    assert labels.free_name(labels.todo / "a.md", taken) == "a-3.md"
    assert labels.free_name(labels.todo / "a-2.md", taken) == "a-2-2.md"
    assert labels.free_name(labels.todo / "b.md", taken) == "b.md"


@pytest.mark.parametrize("there", [False, True])
def test_a_withdrawn_file_is_removed_only_as_we_wrote_it(
    there: bool, labels: LabelFolder
) -> None:
    """If anybody saved something in it, it is kept in done/, beside what is there."""
    labels.offer("mine.md", b"ours")
    labels.offer("theirs.md", b"ours")
    (labels.todo / "theirs.md").write_bytes(b"ours, and more")
    labels.complain(labels.todo / "theirs.md", "half")
    if there:
        (labels.done / "theirs.md").write_bytes(b"before")
    for name in ("mine.md", "theirs.md", "gone.md"):
        labels.withdraw(name, b"ours")

    assert names(labels.todo) == []
    kept = ["theirs-2.md", "theirs.md"] if there else ["theirs.md"]
    assert names(labels.done) == kept
    assert (labels.done / kept[0]).read_bytes() == b"ours, and more"
    if there:
        assert (labels.done / "theirs.md").read_bytes() == b"before"


def test_what_a_crash_left_hidden_comes_back(labels: LabelFolder) -> None:
    """A file that was about to be withdrawn may be somebody's: it is kept."""
    (labels.done / ".withdrawn-a.md").write_text("theirs")
    (labels.done / "a.md").write_text("other")
    (labels.todo / ".tmp-a.md-12345678").write_text("half")

    labels.make("")

    assert names(labels.done) == ["a-2.md", "a.md"]
    assert (labels.done / "a-2.md").read_text() == "theirs"
    assert names(labels.todo) == []


def test_notes_stand_beside_and_go(labels: LabelFolder) -> None:
    """Of an error, and of a dropped file; the file itself is not touched."""
    path = labels.todo / "a.md"
    path.write_text("theirs")
    labels.complain(path, "no such choice \udcff")
    labels.complain(path, "now it is \udcff this")
    assert "now it is \\udcff this" in (labels.todo / "a.md.error").read_text()
    assert "a.md could not be read" in (labels.todo / "a.md.error").read_text()
    labels.receipt(labels.inbox / "b.csv", "read")
    assert (labels.inbox / "b.csv.receipt").read_text() == "read"
    labels.withdraw_receipt(labels.inbox / "b.csv")
    labels.withdraw_receipt(labels.inbox / "b.csv")
    labels.forgive(path)
    labels.forgive(path)

    assert names(labels.todo) == ["a.md"]
    assert names(labels.inbox) == []
    assert path.read_text() == "theirs"


def test_a_place_is_named_below_labels(labels: LabelFolder) -> None:
    """As the journal has it, on every system."""
    assert labels.place(labels.todo / "a.md") == "todo/a.md"
