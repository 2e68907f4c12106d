"""People who never choose, or once only; and many drops that a rewind undoes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.fruitless import MOST
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import NothingToLearn
from onlinedpo.states.records import Dropped, Label
from tests.conftest import Count
from tests.crash.degenerate.degenerate import FUNCTIONS, Parts, begun
from tests.crash.degenerate.degenerate_cases import given
from tests.engine.runs import steps
from tests.engine.scorers import module
from tests.people.kit import Person, answer, in_a_hurry
from tests.people.runs import those, work
from tests.processes import final_bytes
from tests.tables.errors import told


def written(parts: Parts, file: Path, **wanted: Any) -> Path:
    """The settings of a small run, in a file."""
    file.write_text(json.dumps(given(wanted, parts)))
    return file


@pytest.mark.parametrize("choice", ["skip", "both bad"])
def test_people_who_never_choose_are_not_asked_for_ever(
    choice: str, parts: Parts, tmp_path: Path, count: Count
) -> None:
    """After so many batches the run says what they said, and that this ends it."""
    told_as = {"skip": "skipped", "both bad": "both bad"}[choice]

    with (
        in_a_hurry(),
        pytest.raises(NothingToLearn, match=rf"no label \({told_as}: \d+") as ended,
    ):
        human = given({"judge": "human"}, parts)
        work(tmp_path / "run", Person(lambda case: choice), **human)

    assert "their answers" in ended.value.hint
    assert steps(tmp_path / "run") == []
    assert len(those(tmp_path / "run", Dropped)) == MOST
    audit(tmp_path / "run")
    count("degenerate runs", 1)


def test_one_answer_is_trained_on_where_nothing_else_comes(
    parts: Parts, tmp_path: Path, count: Count
) -> None:
    """The judge fails on all and the budget is spent: the run waits, and goes on."""
    run, file = tmp_path / "run", tmp_path / "settings.json"
    hybrid = {"escalate_below": 0.9, "max_waiting": 50, "label_budget": 1}
    written(parts, file, judge="python:dull:none", iters=1, **hybrid)
    with module(tmp_path / "here", FUNCTIONS, "dull"):
        assert begun(run, "-c", file).code == 3
        (waiting,) = (run / "labels" / "todo").glob("*.md")
        answer(waiting, "1")

        ended = begun(run)

    assert ended.code == 0, ended
    (step,) = steps(run)
    (label,) = those(run, Label)
    assert step.tickets == (label.ticket,)
    count("degenerate runs", 1)


def test_a_run_with_many_drops_takes_its_steps_again(
    parts: Parts, tmp_path: Path, count: Count
) -> None:
    """Rewound to its beginning, it ends with the bytes with which it ended before."""
    run, file = tmp_path / "run", tmp_path / "settings.json"
    # Of two letters neither is longer: most pairs are ties, or identical.
    written(parts, file, judge="python:dull:longest", max_completion_length=3)
    with module(tmp_path / "here", FUNCTIONS, "dull"):
        assert begun(run, "-c", file).code == 0
        before, dropped = final_bytes(run), those(run, Dropped)
        assert told(["rewind", str(run), "--to", "0"]).code == 0

        assert begun(run).code == 0

    assert dropped
    assert final_bytes(run) == before
    assert those(run, Dropped)[: len(dropped)] == dropped
    count("degenerate runs", 1)
