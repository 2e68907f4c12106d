"""How soon a run meets people, by the true clock."""

from __future__ import annotations

from pathlib import Path

from onlinedpo.engine.watcher import WITHOUT
from onlinedpo.journal.looks import SETTLE
from onlinedpo.states.records import Escalated, Vote
from tests.people.kit import Parts, Person
from tests.people.runs import those, work


class Watchful(Person):
    """Notes how long ago each file that it is told of was written."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def waiting(self, files: int, folder: Path) -> None:
        """Count, then answer."""
        self.seen.append((files, len(list(folder.glob("*.md")))))
        super().waiting(files, folder)


def test_files_lie_there_when_it_is_said_that_they_wait(
    human: Parts, tmp_path: Path
) -> None:
    """They are offered as soon as they are wanted, whenever the next look is due."""
    person = Watchful()
    work(tmp_path, person, **human, iters=1)

    assert person.seen[0] == (3, 3)
    assert len(those(tmp_path, Escalated)) == 3


def test_a_saved_file_is_read_well_before_the_next_look_is_due(
    human: Parts, tmp_path: Path
) -> None:
    """The save wakes the run, and the file need only settle."""
    work(tmp_path, Person(), **human, iters=1)

    ages = [vote.time - vote.saved for vote in those(tmp_path, Vote)]
    assert len(ages) == 3
    assert min(ages) >= SETTLE
    assert max(ages) < WITHOUT
