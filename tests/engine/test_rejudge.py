"""A run's pairs under another judge: what is asked, written, and refused."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.loop import train
from onlinedpo.engine.rejudge.folder import prepare
from onlinedpo.engine.rejudge.rejudging import Outcome, judge_rest, rejudge
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import (
    JournalDamaged,
    RunLocked,
    SettingsChanged,
    UsageError,
)
from onlinedpo.states.labelling import decide
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Escalated,
    Label,
    ProcessStarted,
    Reason,
    Record,
    RunOpened,
    Sampled,
    Verdict,
)
from tests.engine.runs import Listener, Scripted, opened, records, trained, unreliable
from tests.journal import kit
from tests.states import facts
from tests.toys import toy_model

KINDER = "Prefer the kinder answer."


def parts_of(model: Path, data: Path) -> dict[str, Any]:
    """A run that is judged by its own base, unless a script does it."""
    return {"model": str(model), "judge": str(model), "data": str(data)}


class Watch(Listener):
    """Keeps what is told, and can ask to stop once so many pairs are judged."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.after = after
        self.done: list[int] = []

    def judged(self, done: int, of: int) -> None:
        """Keep it."""
        self.done.append(done)

    def asked_to_stop(self) -> bool:
        """Whether it is enough."""
        return self.after is not None and self.done[-1] >= self.after


@pytest.fixture(scope="module")
def finished(
    opinionated: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of some 20 pairs, of which its judge decided most."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    trained(folder, Scripted(unreliable), **parts_of(opinionated, data), iters=5)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another judge."""
    folder = tmp_path_factory.mktemp("other") / "toy"
    return str(toy_model(folder, seed=3, opinionated=True))


def judge_again(run: Path, watch: Watch | None = None, /, **asked: Any) -> Outcome:
    """Judge a run's pairs again."""
    return rejudge(run, Request(**asked), watch or Watch())


def by_script(run: Path, script: Scripted, **asked: Any) -> Path:
    """The same with verdicts of a script, in the name of a model."""
    prepared = prepare(run, Request(**asked), Listener())
    with prepared.journal(Listener()) as journal:
        judge_rest(journal, script, prepared.pairs, prepared.settings, Watch())
    return prepared.folder.path


def of(kind: type[Any], folder: Path) -> list[Any]:
    """The records of one kind in a folder's journal."""
    return [record for record in records(folder) if isinstance(record, kind)]


def asked(folder: Path) -> Counter[tuple[int, str]]:
    """How often each pair was asked about in each order."""
    return Counter((v.ticket, v.shown) for v in of(Verdict, folder))


def bytes_of(run: Path) -> dict[str, str]:
    """What lies in a run's own folders."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] != "rejudged"
    }


def judgeable(run: Path) -> set[int]:
    """The pairs of a run that a judge can tell apart."""
    return {p.ticket for p in of(Sampled, run) if p.first.text != p.second.text}


# -- what is written ---------------------------------------------------------------


def test_every_pair_is_judged_again_and_the_run_is_left_alone(
    run: Path, other: str
) -> None:
    """In both orders, once; no byte of the run changes."""
    before = bytes_of(run)

    outcome = judge_again(run, judge=other)

    assert asked(outcome.folder) == {
        (ticket, shown): 1
        for ticket in judgeable(run)
        for shown in ("first-second", "second-first")
    }
    assert outcome.done == outcome.wanted == len(judgeable(run))
    assert outcome.folder.parent == run / "rejudged"
    assert bytes_of(run) == before


def test_the_new_journal_says_whose_pairs_it_holds(run: Path, other: str) -> None:
    """Which run, up to which frame, under which judge and rubric."""
    position = Reader(run / "journal")
    source = position.fold()
    folder = judge_again(run, judge=other, rubric=KINDER).folder

    (place, first), *_ = Reader(folder / "journal").batches()
    opening, derived = first
    assert place.number == 1
    assert isinstance(opening, RunOpened) and isinstance(derived, Derived)
    assert source.opened and position.position
    assert (derived.purpose, derived.labels) == ("rejudge", "rejudged")
    assert derived.source == source.opened.run_id != opening.run_id
    assert derived.frame == position.position.number
    assert derived.chain == position.position.chain
    assert derived.step == source.steps == 5
    assert derived.changed == {"judge": other, "judge_system": KINDER}
    assert derived.judge == opening.judge
    assert (derived.judge["id"], derived.judge["rubric"]) == (other, KINDER)
    assert opening.model == source.opened.model
    assert opening.settings == {**source.settings, **derived.changed}
    assert RunFolder(folder).read_config() == opening.settings
    assert len(of(ProcessStarted, folder)) == 1


def test_the_facts_are_those_of_any_run(run: Path, other: str) -> None:
    """Labels follow from verdicts as everywhere, and no turn stays open.

    So the ledger, and all that reads journals, takes them as they are.
    """
    folder = by_script(run, Scripted(unreliable), judge=other)

    ledger = Reader(folder / "journal").fold()
    assert not ledger.turns
    assert ledger.next_ticket == Reader(run / "journal").fold().next_ticket
    verdicts: dict[int, list[Verdict]] = {}
    for record in records(folder):
        match record:
            case Verdict(ticket=ticket):
                verdicts.setdefault(ticket, []).append(record)
            case Label() | Dropped(reason=Reason.FAILED):
                assert decide(verdicts[record.ticket], record.time) == record
    ended = {record.ticket: record.reason for record in of(Dropped, folder)}
    assert sorted(ended) == [*range(ledger.next_ticket)]
    labelled = {record.ticket for record in of(Label, folder)}
    assert labelled == {t for t, why in ended.items() if why == Reason.REJUDGED}
    assert {*ended.values()} >= {Reason.REJUDGED, Reason.FAILED}
    old = {pair.ticket: pair for pair in of(Sampled, run)}
    assert all(pair == old[pair.ticket] for pair in of(Sampled, folder))


def test_the_runs_own_judge_says_the_same_again(
    opinionated: Path, data: Path, tmp_path: Path
) -> None:
    """With the run's own rubric, verdicts come out as they were; and that is said."""
    run, watch = tmp_path / "run", Watch()
    parts = parts_of(opinionated, data)
    with opened(run, **parts, judge_orders=1, iters=2) as trains:
        train(trains)

    folder = judge_again(run, watch, judge=parts["judge"]).folder

    def winners(path: Path) -> dict[tuple[int, str], str | None]:
        return {(v.ticket, v.shown): v.winner for v in of(Verdict, path)}

    assert winners(folder) == winners(run)
    assert len(winners(folder)) == len(judgeable(run))
    assert watch.told("the judge and the rubric are those of")


def test_doubts_are_not_sent_to_people(opinionated: Path, tmp_path: Path) -> None:
    """In a run that asks people where its judge is unsure, the new judge decides."""
    wanted = {"escalate_below": 1.0, "human_share": 1.0, "data": "data"}
    model = str(opinionated)
    opening = facts.run_opened(model=model, judge=model, **wanted)
    kit.write(tmp_path / "journal", [[[opening], [facts.sampled(0)]]])

    folder = judge_again(tmp_path, rubric=KINDER).folder

    settings = Reader(folder / "journal").fold().settings
    assert (settings["escalate_below"], settings["human_share"]) == (None, 0.0)
    assert not of(Escalated, folder)
    assert of(Derived, folder)[0].changed == {
        "judge_system": KINDER,
        "escalate_below": None,
        "human_share": 0.0,
    }


# -- which pairs -------------------------------------------------------------------


def test_a_sample_is_the_same_pairs_for_every_judge(run: Path, other: str) -> None:
    """By lot of the run's seed; the others are left out, each by name."""
    one = judge_again(run, judge=other, sample=5).folder
    two = judge_again(run, rubric=KINDER, sample=5).folder

    assert {t for t, _ in asked(one)} == {t for t, _ in asked(two)}
    assert len(asked(one)) == 10
    assert {t for t, _ in asked(one)} != set(sorted(judgeable(run))[:5])
    left_out = [d for d in of(Dropped, one) if d.reason == Reason.LEFT_OUT]
    assert len(left_out) == len(of(Sampled, run)) - 5
    assert of(Derived, one)[0].sample == 5


def test_a_sample_larger_than_the_run_is_all_of_it(run: Path, other: str) -> None:
    """Nothing is wrong with that."""
    assert judge_again(run, judge=other, sample=999).done == len(judgeable(run))


def written(folder: Path, model: Path, *batches: Sequence[Record]) -> Path:
    """A run whose journal has these facts."""
    opening = facts.run_opened(model=str(model), judge=str(model), data="data")
    kit.write(folder / "journal", [[[opening], *map(list, batches)]])
    return folder


def test_each_ticket_is_accounted_for(opinionated: Path, tmp_path: Path) -> None:
    """Too long, identical, sampled again, corrected, put back, still on its way.

    A pair that got another ticket for its corrected label is judged once.
    """
    same = facts.completion(4, 5)
    run = written(
        tmp_path / "run",
        opinionated,
        [facts.dropped(0, Reason.TOO_LONG)],
        [facts.sampled(1, same, same), facts.dropped(1, Reason.IDENTICAL)],
        [facts.sampled(2), facts.submitted(2), facts.verdict(2), facts.label(2)],
        [facts.step(1, 2)],
        [facts.sampled(3, repeats=2), facts.submitted(3), facts.people_say(3)],
        [facts.restored(facts.sampled(2), facts.label(2)), facts.rewound(0, (2,))],
        [facts.step(1, 2)],
        [facts.sampled(4, facts.completion(9), repeats=2)],
        [facts.sampled(5), facts.submitted(5)],
    )

    folder = judge_again(run, rubric=KINDER).folder

    assert {ticket for ticket, _ in asked(folder)} == {2, 4, 5}
    assert set(asked(folder).values()) == {1}
    why = {d.ticket: (d.reason, d.detail) for d in of(Dropped, folder)}
    assert why[0] == (Reason.TOO_LONG, "")
    assert why[1] == (Reason.LEFT_OUT, "the completions are identical")
    assert why[3] == (Reason.LEFT_OUT, "")
    assert sorted(why) == [*range(6)]


def test_many_tickets_between_two_pairs_take_several_frames(
    opinionated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However thin the sample, a frame stays small."""
    monkeypatch.setattr("onlinedpo.engine.rejudge.rejudging.MOST", 4)
    run = written(
        tmp_path / "run",
        opinionated,
        *([facts.dropped(n, Reason.TOO_LONG)] for n in range(10)),
        [facts.sampled(10)],
    )

    folder = judge_again(run, rubric=KINDER).folder

    batches = [batch for _, batch in Reader(folder / "journal").batches()][2:]
    tickets = [[r.ticket for r in b if isinstance(r, Dropped)] for b in batches]
    assert tickets == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


# -- going on ----------------------------------------------------------------------


def test_stopped_and_taken_up_it_asks_about_no_pair_twice(
    run: Path, other: str, tmp_path: Path
) -> None:
    """It ends with the very verdicts of one that was never stopped."""
    whole = judge_again(run, judge=other, into=tmp_path / "whole").folder
    into = tmp_path / "stopped"

    first = judge_again(run, Watch(after=4), judge=other, into=into)
    second = judge_again(run, Watch(after=9), judge=other, into=into)
    # What it began with is not asked for again.
    last = judge_again(run, into=into)

    assert 4 <= first.done < second.done < last.done == last.wanted
    assert asked(into) == asked(whole)
    assert set(asked(into).values()) == {1}
    said = [
        [(v.ticket, v.shown, v.winner, v.logprobs) for v in of(Verdict, folder)]
        for folder in (whole, into)
    ]
    assert said[0] == said[1]
    assert len(of(ProcessStarted, into)) == 3


def test_stopped_after_the_last_pair_nothing_is_left_to_do(
    opinionated: Path, tmp_path: Path
) -> None:
    """What is only left out is written at once, and the folder is complete."""
    drops: list[list[Record]] = [
        [facts.dropped(n, Reason.TOO_LONG)] for n in range(1, 4)
    ]
    opening = facts.run_opened(model="m", judge="m", data="data", batch_size=1)
    run = tmp_path / "run"
    kit.write(run / "journal", [[[opening], [facts.sampled(0)], *drops]])

    outcome = judge_again(run, Watch(after=1), judge=str(opinionated), rubric=KINDER)

    assert outcome.done == outcome.wanted == 1
    assert Reader(outcome.folder / "journal").fold().next_ticket == 4


def test_what_is_complete_is_not_written_to_again(run: Path, other: str) -> None:
    """Asked for again, the same folder is found, by the judge's content."""
    folder = judge_again(run, judge=other, rubric=KINDER).folder
    before = bytes_of(folder)
    moved = run.parent / "elsewhere"
    shutil.copytree(other, moved)

    assert judge_again(run, judge=other, rubric=KINDER).folder == folder
    again = judge_again(run, judge=str(moved), rubric=KINDER, into=folder)

    assert again.done == again.wanted
    assert bytes_of(folder) == before


def test_it_stays_with_the_pairs_that_it_began_with(
    run: Path, other: str, tmp_path: Path
) -> None:
    """A run that went on since has more pairs: that is said, and they wait."""
    into = tmp_path / "into"
    judge_again(run, Watch(after=4), judge=other, into=into)
    began = judgeable(run)
    with opened(run, iters=8) as longer:
        longer.judge = Scripted(unreliable)
        train(longer)
    watch = Watch()

    outcome = judge_again(run, watch, into=into)

    assert {ticket for ticket, _ in asked(into)} == began < judgeable(run)
    assert outcome.done == len(began)
    assert watch.told("has gone on since")
    assert judge_again(run, judge=other, into=tmp_path / "new").done > len(began)


def test_a_live_run_is_read_up_to_its_last_whole_frame(run: Path, other: str) -> None:
    """While another process writes it, half a frame at its end and all."""
    segments = sorted((run / "journal").glob("*.odj"))
    with opened(run, iters=9):
        last = sorted((run / "journal").glob("*.odj"))[-1]
        half = segments[0].read_bytes()[96:200]
        with last.open("ab") as file:
            file.write(half)
        before = last.read_bytes()

        outcome = judge_again(run, judge=other)

        assert outcome.done == len(judgeable(run))
        assert last.read_bytes() == before


def test_two_processes_do_not_judge_into_one_folder(
    run: Path, other: str, tmp_path: Path
) -> None:
    """The second is told to wait."""
    into = tmp_path / "into"

    class Meddling(Watch):
        def judged(self, done: int, of: int) -> None:
            super().judged(done, of)
            if done == 0:
                with pytest.raises(RunLocked, match="another process"):
                    judge_again(run, judge=other, into=into)

    assert judge_again(run, Meddling(), judge=other, into=into).done
    assert set(asked(into).values()) == {1}


# -- what is refused ---------------------------------------------------------------


def test_a_folder_of_verdicts_is_not_trained(run: Path, other: str) -> None:
    """`onlinedpo run` on it says what it is, and how to train on it."""
    folder = judge_again(run, judge=other, sample=2).folder
    held = records(folder)

    with pytest.raises(UsageError, match="holds verdicts only") as caught:
        open_run(RunFolder(folder), {"iters": 1}, Listener())

    assert f"--labels rejudged --rejudged {folder}" in caught.value.hint
    assert records(folder) == held


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rubric": "Prefer the ruder answer."}, "its rubric differs"),
        ({"judge": "OTHER"}, "its weights"),
        ({"sample": 4}, "is for a sample of 3, and not for a sample of 4"),
    ],
)
def test_a_folder_goes_on_with_what_it_began_with(
    changed: dict[str, Any], words: str, run: Path, other: str, tmp_path: Path
) -> None:
    """The same judge, by content, the same rubric, the same sample."""
    into = tmp_path / "into"
    begun = {"rubric": KINDER, "sample": 3, "into": into}
    judge_again(run, **begun)
    if "judge" in changed:
        changed = {"judge": other}

    with pytest.raises(SettingsChanged, match=words):
        judge_again(run, **(begun | changed))


def nothing_asked(run: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """What cannot be used, and what is said of it."""
    yield {}, "neither another judge nor another rubric"
    yield {"judge": "human"}, "people are asked in the run itself"
    yield {"judge": str(run / "missing")}, "could not be found"
    yield {"rubric": KINDER, "into": run}, "is a run, and not a folder for verdicts"
    yield {"rubric": KINDER, "into": run.parent}, "holds other files"


def test_what_cannot_be_used_is_said_before_anything_is_written(run: Path) -> None:
    """Nobody to ask, no such judge, or no place for the verdicts."""
    before = bytes_of(run)
    for request, words in nothing_asked(run):
        with pytest.raises(UsageError, match=words):
            judge_again(run, **request)

    assert bytes_of(run) == before
    assert not (run / "rejudged").exists()


def test_verdicts_on_another_run_are_not_gone_on_with(
    run: Path, other: str, opinionated: Path, data: Path, tmp_path: Path
) -> None:
    """Even where the pairs would be as many."""
    into = judge_again(run, judge=other, sample=2).folder
    second = tmp_path / "second"
    trained(second, Scripted(unreliable), **parts_of(opinionated, data), iters=1)

    with pytest.raises(UsageError, match="the pairs of another run than"):
        judge_again(second, into=into)


def test_a_run_without_pairs_is_told(opinionated: Path, tmp_path: Path) -> None:
    """And so is one whose completions all read the same."""
    same = facts.completion(4, 5)
    empty = written(tmp_path / "empty", opinionated)
    alike = written(tmp_path / "alike", opinionated, [facts.sampled(0, same, same)])

    for run in (empty, alike):
        with pytest.raises(UsageError, match="has no pair to judge"):
            judge_again(run, rubric=KINDER)
        assert not (run / "rejudged").exists()


def test_a_run_that_people_judged_needs_a_judge(
    opinionated: Path, tmp_path: Path
) -> None:
    """Another rubric alone says nothing of who is to read it."""
    opening = facts.run_opened(model=str(opinionated), judge="human", data="data")
    waits: list[Record] = [facts.sampled(0), facts.submitted(0), facts.escalated(0)]
    run = tmp_path / "run"
    kit.write(run / "journal", [[[opening], waits]])

    with pytest.raises(UsageError, match="people judged the pairs of"):
        judge_again(run, rubric=KINDER)
    assert judge_again(run, judge=str(opinionated)).done == 1


def test_a_journal_that_is_another_one_now_is_damage(
    run: Path, other: str, tmp_path: Path
) -> None:
    """Verdicts are not matched with pairs that they were not given on."""
    into = tmp_path / "into"
    judge_again(run, Watch(after=3), judge=other, into=into)
    frames = [batch for _, batch in Reader(run / "journal").batches()]
    ledger = Ledger()
    for record in frames[0]:
        ledger.fold(record)
    shutil.rmtree(run / "journal")
    kit.write(run / "journal", [frames[:-2]], bytes.fromhex(ledger.opened.run_id))  # type: ignore[union-attr]

    with pytest.raises(JournalDamaged, match="is another one, or is missing"):
        judge_again(run, into=into)
