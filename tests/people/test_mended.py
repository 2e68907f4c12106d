"""What random schedules have found, each as the shortest story that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onlinedpo.states.records import Reason, Sampled, Vote
from tests.people.faults import PowerCut, machine
from tests.people.process import Watched
from tests.states import facts

Begin = Callable[..., "Story"]


class Story(Watched):
    """One pair, told look by look."""

    def sample(self) -> None:
        """The pair waits for an answer."""
        pair = facts.sampled(0)
        self.append([pair, facts.submitted(0), facts.escalated(0)])
        self.inbox = self.new_inbox()
        self.name = f"{pair.pair}.md"

    def save(self, word: str, place: str = "todo/{}") -> None:
        """Somebody writes this choice into a file."""
        path = self.labels / place.format(self.name.removesuffix(".md"))
        if not path.suffix:
            path = path.with_name(f"{path.name}.md")
        raw = self.phrases.offered[self.name].decode()
        raw = raw.replace("choice: ", f"choice: {word}")
        self.phrases.note(raw.encode(), self.asks[0], word)
        self.hands.write(path, raw.encode())

    def rest(self) -> None:
        """Time passes until what was saved is read."""
        for _ in range(2):
            self.clock.now += 0.6
            self.look()

    def say(self, word: str, place: str = "todo/{}") -> None:
        """Save, and wait until it is read."""
        self.save(word, place)
        self.rest()

    def again(self) -> None:
        """Another process takes the run up."""
        self.journal.close()
        self.fuse.clear()
        self.open()
        self.rest()

    def votes(self) -> list[str]:
        """What the journal has, in order."""
        return [record.value for record in self.known if isinstance(record, Vote)]

    def chosen(self, ticket: int = 0) -> str | None:
        """The label now."""
        label = self.journal.ledger.turns[ticket].label
        return label.chosen if label else None

    def done(self) -> dict[str, bytes]:
        """The files in done/."""
        return {path.name: path.read_bytes() for path in self.labels.glob("done/*")}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a run with one pair."""
    begun: list[Story] = []

    def start(late: str = "record") -> Story:
        story = Story(tmp_path, 0, rule="first", late=late)
        begun.append(story)
        context = machine(story.clock, story.fuse)
        context.__enter__()
        leave.append(lambda: context.__exit__(None, None, None))
        story.create()
        story.sample()
        return story

    leave: list[Callable[[], object]] = []
    yield start
    for story in begun:
        story.fuse.clear()
        story.journal.close()
    for end in leave:
        end()


def test_the_same_answer_counts_again_after_it_was_taken_back(begin: Begin) -> None:
    """The file in todo/ may hold the very bytes that lie in done/ already."""
    story = begin()
    story.say("1")
    first = story.chosen()
    story.say("undo", "todo/{} (Ben's conflicted copy).md")
    assert story.chosen() is None
    story.say("1")
    assert story.chosen() == first is not None
    assert len(story.votes()) == 3


def test_a_file_gets_the_name_that_the_journal_gave_it(begin: Begin) -> None:
    """Though a crash came before the move, and the name was not its own."""
    story = begin()
    story.say("1")
    story.save("2")
    story.clock.now += 0.6
    story.look()
    story.clock.now += 0.6
    # Written, synced, and then no move.
    story.fuse.cut(3, "after")
    with pytest.raises(PowerCut):
        story.look()
    assert len(story.done()) == 1
    story.again()
    kept_as = [r.kept_as for r in story.known if isinstance(r, Vote)]
    assert {f"done/{name}" for name in story.done()} == {*kept_as}
    story.say("tie", f"done/{story.name}")
    story.again()
    assert [value == "tie" for value in story.votes()] == [False, False, True]


def test_a_restart_leaves_a_corrected_pair_labelled(begin: Begin) -> None:
    """Its answers are those of an earlier turn: it has none of its own."""
    story = begin("requeue")
    story.say("1")
    first = story.chosen()
    story.append([facts.step(1, 0)])
    story.say("2")
    corrected = story.chosen(1)
    assert corrected not in (None, first)
    story.again()
    assert story.chosen(1) == corrected


def test_a_late_answer_gives_one_turn_however_often_a_pair_came(begin: Begin) -> None:
    """A pair that was corrected and trained on is corrected once more, once."""
    story = begin("requeue")
    story.say("1")
    first = story.chosen()
    story.append([facts.step(1, 0)])
    story.say("2")
    story.append([facts.step(2, 1)])
    story.say("strongly 1")
    assert story.chosen(2) == first
    assert [*story.journal.ledger.turns] == [2]


def test_a_pair_is_corrected_only_by_an_answer_that_came_late(begin: Begin) -> None:
    """Not by one that is read again at a restart, after the pair was given up."""
    story = begin("requeue")
    story.append([facts.sampled(1), facts.submitted(1), facts.escalated(1)])
    story.say("1")
    story.append([facts.dropped(0, Reason.STALE)])
    # With something new beside it, so that there is something to journal.
    story.hands.write(story.labels / "todo" / "note.md", b"choice: 1\n")
    story.again()
    assert len([r for r in story.known if isinstance(r, Sampled)]) == 2


def test_an_editors_backup_is_left_to_the_editor(begin: Begin) -> None:
    """Also at a start, when files of pairs that have ended are taken away."""
    story = begin()
    backup = story.labels / "todo" / f"{story.name}~"
    backup.write_bytes(story.phrases.offered[story.name])
    story.say("1")
    story.again()
    assert backup.exists()
    assert [*story.done()] == [story.name]
