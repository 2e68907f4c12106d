"""Pairs that wait for people for too long: dropped, sampled again, or kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.records import Dropped, Sampled, Vote
from tests.engine.runs import Scripted, Winner, steps
from tests.people.kit import Parts, Person, Stages, answer, nothing
from tests.people.runs import names, pairs, those, work
from tests.toys import prompts_file

pytestmark = pytest.mark.usefixtures("hurry")


def third_fails(comparison: Any, shown: Any) -> Winner:
    """Two of three pairs are decided; the third goes to people."""
    return None if comparison.ticket % 3 == 2 else "first"


SETTINGS: dict[str, Any] = {"escalate_below": 0.5, "max_staleness": 1, "iters": 6}


def reasons(folder: Path) -> dict[int, str]:
    """Why pairs were dropped, by ticket."""
    return {d.ticket: d.reason for d in those(folder, Dropped)}


def test_a_pair_that_waited_too_long_is_dropped(parts: Parts, tmp_path: Path) -> None:
    """After one more step than it may wait, and not before; younger ones wait on."""
    person = Person(nothing)
    ended = work(tmp_path, person, Scripted(third_fails), **parts, **SETTINGS)

    dropped = {d.ticket: d for d in those(tmp_path, Dropped)}
    assert set(reasons(tmp_path).values()) == {"too old"}
    found = pairs(tmp_path)
    for ticket, drop in dropped.items():
        born = found[ticket].step
        assert drop.detail == f"sampled after step {born}, now {born + 2}"
    old = {t for t, p in found.items() if t % 3 == 2 and p.step <= 6 - 2 - 1}
    young = {t for t, p in found.items() if t % 3 == 2} - {*dropped}
    assert old <= {*dropped}
    assert young == {t.sampled.ticket for t in ended.ledger.waiting() if t.sampled}
    assert len(young) >= 1
    # The files of what is dropped are gone, those of what waits are there.
    todo = names(tmp_path / "labels" / "todo")
    assert todo == [f"{found[t].pair}.md" for t in sorted(young)]
    assert names(tmp_path / "labels" / "done") == []


@pytest.mark.parametrize("when", ["drop", "requeue"])
def test_a_touched_file_of_a_dropped_pair_is_kept(
    when: str, parts: Parts, tmp_path: Path
) -> None:
    """In done/, as it was saved, and with no note left behind in todo/."""

    class HalfWay(Person):
        """Writes into the first file what is no answer."""

        raw = b""

        def stepped(self, step: Any, ledger: Any) -> None:
            todo = tmp_path / "labels" / "todo"
            if step.index == 1:
                self.path = sorted(todo.glob("*.md"))[0]
                self.raw = answer(self.path, "perhaps 1")

    person = HalfWay(nothing)
    settings = {**SETTINGS, "max_staleness": 2}
    work(tmp_path, person, Scripted(third_fails), **parts, **settings, when_stale=when)

    name = f"{pairs(tmp_path)[2].pair}.md"
    assert 2 in reasons(tmp_path)
    assert person.path.name == name
    assert (tmp_path / "labels" / "done" / name).read_bytes() == person.raw
    assert not person.path.exists()
    left = names(tmp_path / "labels" / "todo")
    assert [n for n in left if not n.endswith(".md")] == []


def test_what_a_crash_left_in_todo_goes_at_the_next_start(
    parts: Parts, tmp_path: Path
) -> None:
    """Files of pairs that have ended: removed if untouched, and else kept and read."""
    offered: dict[str, bytes] = {}

    class Watches(Person):
        """Notes what was offered."""

        def stepped(self, step: Any, ledger: Any) -> None:
            for path in (tmp_path / "labels" / "todo").glob("*.md"):
                offered[path.name] = path.read_bytes()

    script = Scripted(third_fails)
    work(tmp_path, Watches(nothing), script, **parts, **SETTINGS)
    todo, done = (tmp_path / "labels" / name for name in ("todo", "done"))
    untouched, touched, *_ = sorted(offered)
    for name in (untouched, touched):
        (todo / name).write_bytes(offered[name])
    raw = answer(todo / touched, "tie")
    waiting = set(names(todo)) - {untouched, touched}

    ended = work(tmp_path, Person(nothing), script)

    assert set(names(todo)) == waiting
    assert names(done) == [touched]
    assert (done / touched).read_bytes() == raw
    assert [vote.raw for vote in those(tmp_path, Vote)] == [raw]
    assert ended.ledger.late == 1


def test_a_requeued_prompt_gets_a_fresh_turn(parts: Parts, tmp_path: Path) -> None:
    """Another ticket, other completions, by the newer policy, on the same prompt."""
    settings = {**parts, **SETTINGS, "when_stale": "requeue"}
    work(tmp_path, Person(nothing), Scripted(third_fails), **settings)

    found = pairs(tmp_path)
    again = {p.repeats: p for p in found.values() if p.repeats is not None}
    dropped = reasons(tmp_path)
    assert set(dropped.values()) == {"too old, to be sampled again"}
    assert again
    assert set(again) <= set(dropped)
    for old, new in again.items():
        before = found[int(old or 0)]
        assert (new.epoch, new.prompt, new.messages) == (
            *(before.epoch, before.prompt),
            before.messages,
        )
        assert new.step > before.step
        assert (new.first.tokens, new.second.tokens) != (
            before.first.tokens,
            before.second.tokens,
        )


def test_every_prompt_is_visited_once_an_epoch_however_many_are_repeated(
    model: str, tmp_path: Path
) -> None:
    """Repeats take nobody's place in the order."""
    data = str(prompts_file(tmp_path / "data", 7))
    settings = {**SETTINGS, "when_stale": "requeue", "max_staleness": 0, "iters": 9}
    run = tmp_path / "run"
    work(
        run, Person(nothing), Scripted(third_fails), model=model, data=data, **settings
    )

    found = those(run, Sampled)
    first_turns = [(p.epoch, p.prompt) for p in found if p.repeats is None]
    assert len(first_turns) < len(found)
    last = max(epoch for epoch, _ in first_turns)
    assert last >= 2
    for epoch in range(last + 1):
        visits = [prompt for e, prompt in first_turns if e == epoch]
        assert sorted(visits) == [*range(7)] if epoch < last else len(visits)
        assert len(visits) == len(set(visits))
    assert [e for e, _ in first_turns] == sorted(e for e, _ in first_turns)


def test_keep_waits_however_long(parts: Parts, tmp_path: Path) -> None:
    """Nothing is dropped; an answer of the last step is as good as one of the first."""
    settings = {**parts, **SETTINGS, "when_stale": "keep"}
    work(tmp_path, Person(nothing), Scripted(third_fails), **settings)
    assert reasons(tmp_path) == {}
    Person().at_work(tmp_path / "labels" / "todo")

    work(tmp_path, Person(nothing), Scripted(third_fails), iters=7)

    assert 2 in steps(tmp_path)[-1].tickets
    assert steps(tmp_path)[-1].metrics["label/age_steps_mean"] > 1


def test_where_people_judge_all_nothing_grows_old(human: Parts, tmp_path: Path) -> None:
    """No step is taken meanwhile, so even max_staleness 0 drops nothing."""
    person = Stages(lambda labels: None, lambda labels: None)
    work(tmp_path, person, **human, max_staleness=0)
    ended = work(tmp_path)

    assert ended.ledger.steps == 3
    assert reasons(tmp_path) == {}
