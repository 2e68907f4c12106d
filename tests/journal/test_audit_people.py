"""Lies about what people said, and what followed: each is caught, and named.

As with a judge's run the chain is made anew after each lie, and the checkpoints are
gone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.errors import AuditFailed
from onlinedpo.states.records import (
    Bundle,
    Dropped,
    Escalated,
    Kept,
    Label,
    ProcessStarted,
    Reason,
    Restored,
    Rewound,
    RunOpened,
    Sampled,
    Step,
    Submitted,
    Vote,
)
from tests.journal.forging import Forger
from tests.states import facts

Lie = Callable[[Forger], int]

OTHER = {"first": "second", "second": "first"}


def changed(
    kind: type[Any], nth: int = 0, which: Any = lambda _: True, **fields: Any
) -> Lie:
    """A record with other fields."""
    return lambda forger: forger.change(kind, nth, which, **fields)


def flipped(kind: type[Any], field: str, which: Any = lambda _: True) -> Lie:
    """The other side."""
    return changed(kind, 0, which, **{field: lambda side: OTHER[side]})


def by_file(vote: Vote) -> bool:
    """A row of a dropped file."""
    return vote.source == "file"


def in_csv(vote: Vote) -> bool:
    """A row that its header explains."""
    return by_file(vote) and "bob.csv" in vote.path


def in_json(vote: Vote) -> bool:
    """A row that speaks for itself."""
    return by_file(vote) and ".jsonl" in vote.path


def saved(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Other bytes than a person saved."""

    def change(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new)

    return change


def late(forger: Forger) -> int:
    """The frame of the first late answer: its pair gets another turn with it."""
    return forger.find(Sampled, which=lambda pair: pair.repeats is not None)[0]


def in_late_turn(kind: type[Any], **fields: Any) -> Lie:
    """A fact of a corrected pair's next turn."""

    def plant(forger: Forger) -> int:
        number = late(forger)
        batch = dict(forger.frames)[number]
        (place,) = (n for n, fact in enumerate(batch) if isinstance(fact, kind))
        old = batch[place]
        new = {k: v(getattr(old, k)) if callable(v) else v for k, v in fields.items()}
        batch[place] = replace(old, **new)
        return number

    return plant


def no_late_turn(forger: Forger) -> int:
    """The late answer stays without the turn that should follow."""
    number = late(forger)
    batch = dict(forger.frames)[number]
    batch[:] = [fact for fact in batch if isinstance(fact, Vote | Bundle)]
    return number


def label_inserted(forger: Forger) -> int:
    """A pair that people were asked about has a label before anyone answered."""
    number, _, _ = forger.find(Vote)
    return forger.insert(number, facts.people_say(0))


def labels_left_out(forger: Forger) -> int:
    """What people answered has no consequence: the next operation comes too soon."""
    number, _, _ = forger.find(Label)
    forger.drop(number)
    return number


def answer_put_aside(forger: Forger) -> int:
    """A good answer is kept as if it could not be read."""
    number, batch, place = forger.find(Vote)
    vote = batch[place]
    assert isinstance(vote, Vote)
    batch[place] = Kept(path=vote.path, raw=vote.raw, reason="?", time=vote.time)
    return number


def asked_twice(forger: Forger) -> int:
    """More answers are asked for than are wanted."""
    return forger.change(Escalated, slots=3)


def restored_otherwise(**fields: Any) -> Lie:
    """A pair comes back with something else."""

    def plant(forger: Forger) -> int:
        forger.change(Restored, 1, **fields)
        return forger.find(Rewound)[0]

    return plant


def label_of(**fields: Any) -> Callable[[Label], Label]:
    """A label with other fields."""
    return lambda label: replace(label, **fields)


def not_restored(forger: Forger) -> int:
    """A pair whose steps are undone does not come back."""
    number, batch, place = forger.find(Rewound)
    rewound = batch[place]
    assert isinstance(rewound, Rewound)
    gone = rewound.tickets[0]
    batches = tuple(tuple(n for n in one if n != gone) for one in rewound.batches)
    batch[place] = replace(rewound, tickets=rewound.tickets[1:], batches=batches)
    return number


def another_pair(forger: Forger) -> int:
    """An answer is taken for another pair than the one that it names."""
    return forger.change(Vote, 3, ticket=1)


def labels_of_a_row_left_out(forger: Forger) -> int:
    """What follows from one dropped file is gone, and the next one is taken in."""
    number, _, _ = forger.find(Vote, which=in_json)
    forger.drop(number - 1)
    return number - 1


def label_beside_answers(forger: Forger) -> int:
    """In the frame in which answers come in, nothing is decided yet."""
    number, batch, _ = forger.find(Vote)
    batch.append(facts.people_say(0))
    return number


def rewound_and_more(forger: Forger) -> int:
    """A rewind is a frame of its own."""
    number, batch, _ = forger.find(Rewound)
    batch.insert(0, facts.tail_cut())
    return number


def not_put_back(forger: Forger) -> int:
    """A pair is to be trained on again, but how it stood is not said."""
    _, batch, place = forger.find(Restored)
    del batch[place]
    return forger.find(Rewound)[0]


PEOPLE: dict[str, tuple[Lie, str]] = {
    "nothing written": (
        changed(
            Vote,
            raw=lambda raw: re.sub(rb"\nchoice: \S+", b"\nchoice: ", raw),
        ),
        "vote of pair 000000-.*: value: '\\w+' is recorded, nothing is derived",
    ),
    "of other completions": (
        changed(
            Vote, raw=lambda raw: re.sub(rb"000000-\w{8}", b"000000-00000000", raw)
        ),
        "vote of pair 000000-.*: pair: .* is recorded, '000000-00000000' is derived",
    ),
    "bundle's count": (changed(Bundle, taken=5), "bundle: taken: 5 is recorded, 1 is"),
    "JSON: nothing chosen": (
        changed(Vote, 0, in_json, raw=b'{"id": "x", "choice": ""}'),
        "vote of pair .*: raw: .* is recorded, nothing is derived",
    ),
    "labels of a row left out": (
        labels_of_a_row_left_out,
        "label of pair 000010-.*: nothing is recorded",
    ),
    "label beside answers": (
        label_beside_answers,
        "label of pair 000000-.*: 'label' is",
    ),
    "rewind with more": (
        rewound_and_more,
        "rewound: records: 2 is recorded, 1 is deri",
    ),
    "not put back": (not_put_back, r"rewound: tickets: \(7, 8, 9, .* is recorded"),
    "value": (flipped(Vote, "value"), "vote of pair 000000-.*: value: 'second' is rec"),
    "bytes of a choice": (
        changed(Vote, 2, raw=saved(b"\nchoice: ", b"\nchoice: strongly ")),
        "vote of pair 000001-.*: (value|strong|raw): ",
    ),
    "bytes of a note": (
        changed(Vote, raw=saved(b"good", b"bad!")),
        "vote of pair 000000-.*: note: 'good' is recorded, 'bad!' is derived",
    ),
    "bytes of a name": (
        changed(Vote, raw=saved(b"annotator: ", b"annotator: zoe")),
        "vote of .*: annotator: .* is recorded, 'zoe' is derived",
    ),
    "bytes without an answer": (
        changed(Vote, raw=b"---\n"),
        "vote of pair 000000-.*: raw: .*it has no line such as",
    ),
    "another run's file": (
        changed(Vote, raw=saved(b"\nrun: ", b"\nrun: 0")),
        "vote of pair 000000-.*: raw.run: ",
    ),
    "strength": (changed(Vote, strong=True), "vote of .*: strong: True is recorded"),
    "note": (changed(Vote, note="bad"), "vote of .*: note: 'bad' is recorded, 'good'"),
    "order shown": (
        changed(Vote, shown=lambda old: "-".join(old.split("-")[::-1])),
        "vote of .*: shown: ",
    ),
    "slot": (changed(Vote, slot=2), "vote of .*: slot: 2 is recorded, 1 is derived"),
    "pair": (another_pair, "vote of pair 000001-.*: ticket: 1 is recorded"),
    "CSV: value": (flipped(Vote, "value", in_csv), "vote of .*: value: "),
    "CSV: bytes": (
        changed(Vote, 0, in_csv, raw=b"?,1,bob"),
        "vote of .*: raw: b'\\?,1",
    ),
    "CSV: name": (changed(Vote, 0, in_csv, annotator="zoe"), "annotator: 'zoe' is rec"),
    "JSON: value": (flipped(Vote, "value", in_json), "vote of .*: value: "),
    "JSON: note": (
        changed(Vote, 0, in_json, note=""),
        "vote of .*: note: '' is record",
    ),
    "JSON: bytes": (
        changed(Vote, 0, in_json, raw=saved(b'"note": "hm"', b'"note": "mm"')),
        "vote of .*: note: 'hm' is recorded, 'mm' is derived",
    ),
    "JSON: no answer": (changed(Vote, 0, in_json, raw=b"{}"), "vote of .*: raw: b'{}'"),
    "JSON: slot": (
        changed(Vote, 0, in_json, slot=3),
        "vote of .*: slot: 3 is recorded",
    ),
    "label inserted": (
        label_inserted,
        "label of pair 000000-.*: 'label' is recorded, n",
    ),
    "label flipped": (flipped(Label, "chosen"), "label of pair 000000-.*: chosen: "),
    "confidence": (changed(Label, 1, confidence=0.4), "label of .*: confidence: 0.4"),
    "reason": (changed(Label, 1, reason="both bad"), "label of .*: reason: 'both bad'"),
    "labels left out": (
        labels_left_out,
        "label of pair 000000-.*: nothing is recorded",
    ),
    "answer put aside": (answer_put_aside, "kept: reason: '\\?' is recorded|kept of"),
    "asked too often": (
        asked_twice,
        "escalated of pair 000000-.*: slots: 3 is recorded",
    ),
    "asked for another reason": (
        changed(Escalated, why="tie"),
        "escalated of pair 000000-.*: why: 'tie' is recorded, 'people judge'",
    ),
    "tie that is dropped otherwise": (
        changed(Dropped, reason=Reason.BAD),
        "dropped of pair 000001-.*: reason: 'both bad' is recorded, 'tie'",
    ),
    "share of people": (
        changed(Step, metrics=lambda old: {**old, "label/human_frac": 0.5}),
        "step 1: label/human_frac: 0.5 is recorded, 1.0 is derived",
    ),
    "late value": (
        changed(Vote, 12, value=lambda side: OTHER[side]),
        "vote of pair 000000: value: ",
    ),
    "late turn's label": (
        in_late_turn(Label, chosen=lambda side: OTHER[side]),
        "label of .*: chosen: ",
    ),
    "late turn's pair": (
        in_late_turn(Sampled, step=1),
        "sampled of .*: step: 1 is rec",
    ),
    "late turn's prompt": (
        in_late_turn(Sampled, prompt_tokens=(1,)),
        "sampled of .*: prompt_tokens: ",
    ),
    "late turn left out": (no_late_turn, "sampled of pair 000009.*: nothing is record"),
    "restored label": (
        restored_otherwise(label=label_of(chosen=None)),
        "restored of pair 000008-.*: label.chosen: None is recorded",
    ),
    "restored answers": (restored_otherwise(votes=()), "restored of .*: votes: "),
    "restored slots": (
        restored_otherwise(slots=9),
        "restored of .*: slots: 9 is record",
    ),
    "not restored": (
        not_restored,
        r"rewound: tickets: \(8, 9.* is recorded, \(7, 8, 9",
    ),
    "batches": (
        changed(Rewound, batches=lambda old: old[::-1]),
        "rewound: batches: ",
    ),
    "rewound to": (changed(Rewound, to=9), "rewound: to: 9 is recorded"),
}

LATE_ROW = {
    "row: value": (flipped(Vote, "value"), "vote of pair 000002: value: "),
    "row: slot": (
        changed(Vote, slot=2),
        "vote of .*: slot: 2 is recorded, 1 is derived",
    ),
    "row: pair": (
        changed(Vote, raw=lambda raw: raw.replace(b'"000002-', b'"000002-0')),
        "vote of pair 000002: raw: .*names no pair",
    ),
    "row: of other completions": (
        changed(Vote, raw=lambda raw: raw[:15] + b"00000000" + raw[23:]),
        "vote of pair 000002-.*: pair: .* is recorded, '000002-00000000' is derived",
    ),
    "turn's label": (
        in_late_turn(Label, chosen=lambda side: OTHER[side]),
        "label of .*: chosen: ",
    ),
    "stale: reason": (
        changed(Dropped, 0, lambda d: d.reason == Reason.REQUEUED, reason=Reason.STALE),
        "dropped of pair 000000-.*: reason: 'too old' is recorded",
    ),
    "stale: pair": (
        changed(Sampled, 0, lambda pair: pair.repeats == 1, repeats=3),
        "sampled of .*: repeats: 3 is recorded, 1 is derived",
    ),
    "doubt": (
        changed(Escalated, why="judge unsure"),
        "escalated of .*: why: 'judge uns",
    ),
    "budget": (changed(Escalated, slots=2), "escalated of .*: slots: 2 is recorded, 1"),
    "submitted": (
        in_late_turn(Submitted, tickets=(2,)),
        r"submitted: tickets: \(2,\) is recorded, \(9,\) is derived",
    ),
}


def must_be_caught(run: Path, plant: Lie, named: str) -> None:
    """Plant a lie in a run, and have the audit name it."""
    forger = Forger(run)
    frame = plant(forger)
    forger.write()

    with pytest.raises(AuditFailed, match=named) as failed:
        audit(run)

    assert failed.value.facts["frame"] == frame, str(failed.value)


@pytest.mark.parametrize("lie", PEOPLE)
def test_a_lie_about_people_is_caught_and_named(
    lie: str, answered: Path, tmp_path: Path
) -> None:
    """About what they saved, what was read in it, and what follows from it."""
    run = tmp_path / "run"
    shutil.copytree(answered, run)
    must_be_caught(run, *PEOPLE[lie])


@pytest.mark.parametrize("lie", LATE_ROW)
def test_a_lie_where_a_judge_asked_people_is_caught_and_named(
    lie: str, mixed: Path, tmp_path: Path
) -> None:
    """About a late line on a judge's label, stale pairs, and why people were asked."""
    run = tmp_path / "run"
    shutil.copytree(mixed, run)
    must_be_caught(run, *LATE_ROW[lie])


def test_without_its_file_a_row_of_csv_is_told_and_not_read(
    answered: Path, tmp_path: Path
) -> None:
    """And if the file was changed since, it is not the one that was read."""
    run = tmp_path / "run"
    shutil.copytree(answered, run)
    assert audit(run).checked["unread_rows"] == 0

    with (run / "labels" / "done" / "bob.csv").open("a") as file:
        file.write("x,1,bob\n")
    found = audit(run)

    assert found.checked["unread_rows"] == 1
    assert found.checked["file_rows"] == 1


def test_a_completion_that_people_were_not_shown_is_told(
    answered: Path, tmp_path: Path
) -> None:
    """The label file that they saved shows other words: one of the two was changed."""
    run = tmp_path / "run"
    shutil.copytree(answered, run)
    assert audit(run).checked["altered_label_files"] == 0
    forger = Forger(run)
    text = facts.completion(1).text
    forger.change(Sampled, 4, first=lambda old: replace(old, text=text))
    forger.write()

    assert audit(run).checked["altered_label_files"] == 1


def test_a_late_answer_to_a_prompt_that_was_never_sampled_is_named(
    tmp_path: Path,
) -> None:
    """It was too long: there is no pair that anybody could have seen."""
    golden = Path(__file__).parents[1] / "golden" / "0.1.0" / "people"
    shutil.copytree(golden, tmp_path / "journal")

    def plant(forger: Forger) -> int:
        ticket = forger.get(Dropped, which=lambda d: d.reason == Reason.TOO_LONG).ticket
        vote = forger.get(Vote, -1)
        seed = forger.get(RunOpened).settings["seed"]
        asks = (Ask(f"{ticket:06d}-00000000", slot) for slot in range(2, 99))
        ask = next(ask for ask in asks if sides(seed, ask) == vote.shown)
        raw = re.sub(rb"0\d{5}-\w{8}(\.\d)?", str(ask).encode(), vote.raw)
        late = replace(vote, ticket=ticket, slot=ask.slot, raw=raw)
        forger.segments[-1].append([late])
        return len(list(forger.frames))

    must_be_caught(tmp_path, plant, r"vote: pair: '0\d+' is recorded, nothing is deri")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"detail": "long"}, "dropped of .*: detail: 'long' is recorded, 'a length of"),
        (
            {"detail": "5 tokens, max_seq_length is 400"},
            "dropped of .*: detail: '5 t",
        ),
        (
            {"detail": "999 tokens, max_seq_length is 500"},
            "dropped of .*: detail: '99",
        ),
        ({"ticket": 1}, "dropped of pair 000002: ticket: 1 is recorded, 2 is derived"),
    ],
)
def test_a_prompt_that_was_too_long_was_too_long(
    fields: dict[str, Any], named: str, tmp_path: Path
) -> None:
    """By the settings in force; how long it was only a tokenizer can say."""
    golden = Path(__file__).parents[1] / "golden" / "0.1.0" / "judged"
    shutil.copytree(golden, tmp_path / "journal")
    must_be_caught(tmp_path, changed(Dropped, **fields), named)


def test_a_file_whose_reading_a_crash_cut_short_is_told(
    answered: Path, tmp_path: Path
) -> None:
    """The answers in it came in, and the file itself did not."""
    run = tmp_path / "run"
    shutil.copytree(answered, run)
    forger = Forger(run)
    number, batch, place = forger.find(Bundle)
    del batch[place]
    started = forger.get(ProcessStarted, -1)
    forger.insert(number + 1, replace(started, changed={}))
    forger.write()

    assert audit(run).checked["unread_rows"] == 1
