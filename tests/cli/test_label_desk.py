"""The labeller beside others, who change, move and delete files while it works."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from onlinedpo.cli.label.desk import Item, LabelDesk, Meanwhile
from onlinedpo.cli.label.pair import parse
from onlinedpo.cli.label.text import differing
from onlinedpo.states.answers import Ask
from onlinedpo.states.people.choices import Choice
from tests.cli.labelling import NAME, Waiting, pair, read, waiting
from tests.states import facts

ONE, TWO = Choice("1"), Choice("2")


def shown(desk: LabelDesk) -> Item:
    """The pair that is shown next."""
    item = desk.next()
    assert item
    return item


def answer(desk: LabelDesk, choice: Choice = ONE) -> Ask:
    """Answer the next pair."""
    item = shown(desk)
    desk.save(item, choice, 1.5, "")
    return item.ask


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as an editor does."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def run(tmp_path: Path) -> Waiting:
    """Three pairs wait."""
    return waiting(tmp_path, *map(pair, range(3)))


def test_an_answer_that_appeared_meanwhile_is_not_overwritten(run: Waiting) -> None:
    """Somebody saves the file that is on the screen: theirs stands."""
    desk = run.desk()
    item = shown(desk)
    edit(run.todo(0), "choice: ", "choice: tie")
    theirs = run.todo(0).read_bytes()

    with pytest.raises(Meanwhile, match="somebody answered"):
        desk.save(item, ONE, 1.0, "")

    assert run.todo(0).read_bytes() == theirs
    assert shown(desk).ask == run.ask(1)
    assert not desk.given


def test_what_somebody_is_writing_just_now_is_left_alone(run: Waiting) -> None:
    """A file whose answer cannot be read is theirs too."""
    desk = run.desk()
    item = shown(desk)
    edit(run.todo(0), "choice: ", "choice: perhaps")

    with pytest.raises(Meanwhile):
        desk.save(item, ONE, 1.0, "")

    assert "choice: perhaps" in run.todo(0).read_text()


def test_other_changes_made_meanwhile_are_kept(run: Waiting) -> None:
    """A note that somebody wrote stays; the file is read again before it is filled."""
    desk = run.desk()
    item = shown(desk)
    edit(run.todo(0), "note: ", "note: from an editor\nand more")

    desk.save(item, ONE, 1.0, "")

    assert run.said(0).note == "from an editor\nand more"
    assert run.said(0).choice == ONE


def test_a_file_that_is_gone_is_told_and_not_made_anew(run: Waiting) -> None:
    """Its pair may be wanted no more."""
    desk = run.desk()
    item = shown(desk)
    run.todo(0).unlink()

    with pytest.raises(Meanwhile, match="is gone"):
        desk.save(item, ONE, 1.0, "")

    assert not run.todo(0).exists()
    assert shown(desk).ask == run.ask(1)


def test_a_file_that_was_renamed_is_found_by_what_it_says(run: Waiting) -> None:
    """Names mean nothing: not for an answer, and not for taking it back."""
    desk = run.desk()
    item = shown(desk)
    there = run.todo(0).rename(run.todo(0).with_name("mine.md"))

    desk.save(item, TWO, 1.0, "")
    assert read(there, item.ask).choice == TWO

    moved = there.rename(run.labels / "done" / "other-2.md")
    desk.undo()
    assert read(moved, item.ask).choice == Choice("undo")


def test_backups_and_half_written_files_are_not_offered(run: Waiting) -> None:
    """What editors leave beside a file is nobody's answer."""
    desk = run.desk()
    text = run.todo(2).read_text()
    answer(desk), answer(desk), answer(desk)
    for name in ("x.md~", ".x.md.swp", "#x.md#", "x.md.error", ".tmp-x.md"):
        (run.labels / "todo" / name).write_text(text)

    assert desk.next() is None and desk.left == 0


@pytest.mark.parametrize("rename", [True, False])
def test_undo_holds_though_the_run_takes_the_answer_in_just_then(
    run: Waiting, rename: bool
) -> None:
    """Whether the file moves before or after it is emptied: done/ says undo."""
    desk = run.desk()
    answer(desk)
    if rename:
        run.taken_in(0)
        desk.undo()
    else:
        desk.undo()
        # The run had read the answer before, and now moves the emptied file.
        run.todo(0).rename(run.done(0))
        desk.look()

    assert read(run.done(0), run.ask(0)).choice == Choice("undo")


def test_an_answer_to_what_was_taken_back_counts_at_once(run: Waiting) -> None:
    """While nobody offers the pair anew, its file in done/ is answered again."""
    desk = run.desk()
    ask = answer(desk)
    run.taken_in(0)
    undone = desk.undo()
    assert undone and undone[0].ask == ask

    desk.save(undone[0], TWO, 1.0, "")
    assert read(run.done(0), ask).choice == TWO

    desk.undo()
    assert read(run.done(0), ask).choice == Choice("undo")
    assert shown(desk).ask == ask


def test_once_it_is_offered_anew_only_that_file_counts(run: Waiting) -> None:
    """Another person's answer in the fresh file is not overruled from done/."""
    desk = run.desk()
    answer(desk)
    run.taken_in(0)
    undone = desk.undo()
    assert undone
    run.offer(run.ask(0))
    desk.look()
    edit(run.todo(0), "choice: ", "choice: tie")
    run.todo(0).rename(run.labels / "done" / "another.md")

    with pytest.raises(Meanwhile):
        desk.save(undone[0], TWO, 1.0, "")

    assert read(run.done(0), run.ask(0)).choice == Choice("undo")


def test_an_answer_changed_in_an_editor_is_not_taken_back(run: Waiting) -> None:
    """The editor's word is newer; u says so, and goes on with the one before."""
    desk = run.desk()
    answer(desk), answer(desk)
    edit(run.todo(1), "choice: 1", "choice: 2")

    with pytest.raises(Meanwhile, match="changed or removed"):
        desk.undo()
    undone = desk.undo()

    assert undone and undone[0].ask == run.ask(0)
    assert run.choices() == ["", "2", ""]


def test_pairs_that_have_ended_are_not_offered(run: Waiting) -> None:
    """Neither what was left over, nor what is of another run or other completions."""
    run.journalled(facts.dropped(0))
    edit(run.todo(1), f"run: {NAME}", "run: 00000000")
    other = run.todo(2).with_name("000001-00000000.md")
    other.write_text(run.todo(2).read_text().replace(run.pairs[2].pair, other.stem))

    assert shown(run.desk()).ask == run.ask(2)


def test_pairs_with_an_answer_in_the_journal_are_known_as_ones_own(
    tmp_path: Path,
) -> None:
    """The other slot of such a pair comes last; to somebody else it comes first."""
    run = waiting(tmp_path, *map(pair, range(2)), slots=2)
    run.taken_in(0, annotator="anna")

    assert shown(run.desk("anna")).ask == run.ask(1)
    assert shown(run.desk("ben")).ask == run.ask(0, 2)


def test_pairs_that_were_answered_in_other_programs_come_last_too(
    tmp_path: Path,
) -> None:
    """An answer from a dropped file cannot be taken back here, but it is known."""
    run = waiting(tmp_path, *map(pair, range(2)), slots=2)
    run.todo(0).unlink()
    run.journalled(facts.vote(0, source="file", path="inbox/a.jsonl:1"))
    desk = run.desk("anna")

    assert shown(desk).ask == run.ask(1)
    assert desk.undo() is None


def test_line_ends_and_byte_order_marks_stay(run: Waiting) -> None:
    """A file that Notepad saved is filled in as Notepad would have it."""
    path = run.todo(0)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    desk = run.desk()

    answer(desk)

    raw = path.read_bytes()
    file = parse(raw, NAME)
    assert file and file.answer and file.answer.choice == ONE
    assert raw.startswith(codecs.BOM_UTF8)
    assert b"choice: 1\r\n" in raw and b"## Prompt\r\n" in raw


def test_a_file_that_cannot_be_shown_is_named(run: Waiting) -> None:
    """Somebody took a heading away: it is for an editor now."""
    edit(run.todo(0), "## Response 2", "")
    desk = run.desk()

    assert shown(desk).ask == run.ask(1)
    assert desk.illegible == [run.todo(0)]


HARD = ["~~~~", "## Response 2\n\n~~~~\nx\n~~~~", "", "\n\n", "~~~~\n\n## Response 1\n"]


@pytest.mark.parametrize("one", HARD)
@pytest.mark.parametrize("two", HARD)
def test_no_response_can_pass_for_another(one: str, two: str, tmp_path: Path) -> None:
    """What is shown as a response is all of it, whatever headings it writes."""
    run = waiting(tmp_path, pair(0, one or " ", two or " "))
    item = shown(run.desk())

    assert {item.pair.one, item.pair.two} == {one or " ", two or " "}


def test_words_that_differ_are_found() -> None:
    """Whole words, in both texts; a text of endless words is not compared."""
    one, two = "a red ball\n\nhere", "a blue ball here now"
    left, right = differing(one, two)

    assert [one[start:end] for start, end in left] == ["red"]
    assert [two[start:end] for start, end in right] == ["blue", "now"]
    assert differing("x " * 30_000, "y") == ([], [])
