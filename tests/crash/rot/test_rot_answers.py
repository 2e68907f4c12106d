"""A person's answer whose frame rots where it is the last one: it is not lost.

In the very last frame rot looks like a torn write, so it is cut off although it was
acknowledged.  What the person saved still lies in labels/done, and is taken in again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Bundle, TailCut, Vote
from tests.conftest import Count
from tests.journal import damage
from tests.journal.audited import answer_all, in_csv, in_json_lines, parts
from tests.people.kit import Stages, answer, in_a_hurry, said
from tests.people.runs import those, work


def saved(labels: Path) -> None:
    """Save the first file that waits, in todo/."""
    path = sorted((labels / "todo").glob("*.md"))[0]
    answer(path, said(path))


@pytest.mark.parametrize("way", [saved, in_csv, in_json_lines])
def test_an_answer_whose_frame_rots_is_taken_in_again(
    way: Callable[[Path], None], tmp_path: Path, count: Count
) -> None:
    """Whatever byte of it: the vote is there again, as it was, and the run goes on."""
    run = tmp_path / "run"
    settings = parts(tmp_path, judge="human", iters=1, batch_size=2)
    with in_a_hurry():
        work(run, Stages(way), **settings)
    (vote,), bundles = those(run, Vote), those(run, Bundle)
    # Its frame, and the label that follows from it at once.
    number = next(
        place.number
        for place, batch in Reader(run / "journal").batches()
        if vote in batch
    )
    path, start, end = damage.place(run / "journal", number)
    whole = Path(shutil.copytree(run, tmp_path / "whole"))
    data = path.read_bytes()
    places = range(start + 1, end, (end - start) // 4)
    for at in places:
        shutil.rmtree(run)
        shutil.copytree(whole, run)
        path.write_bytes(data[:at] + bytes(len(data) - at))
        assert those(run, Vote) == []
        with in_a_hurry():
            ended = work(run, Stages(answer_all))
        assert len(those(run, TailCut)) == 1
        again = those(run, Vote)[0]
        assert (again.ticket, again.value, again.raw, again.annotator) == (
            vote.ticket,
            vote.value,
            vote.raw,
            vote.annotator,
        )
        assert [b.sha256 for b in those(run, Bundle)[:1]] == [b.sha256 for b in bundles]
        assert ended.ledger.steps == 1
        audit(run)
    count("answers whose frame was damaged", len(places))
