"""Records as bytes: what is written comes back, and nothing else is accepted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, get_args

import msgpack
import pytest

from onlinedpo.journal.codec import KINDS, VERSION, as_map, decode, encode
from onlinedpo.states.errors import JournalError
from onlinedpo.states.records import Completion, Label, Reason, Record, Sampled
from tests.states import facts

PLAIN: list[Record] = [
    facts.run_opened(),
    facts.derived(changed={"iters": 3}),
    facts.process_started(iters=7),
    facts.tail_cut(),
    facts.sampled(3),
    facts.ranked(3),
    facts.submitted(1, 2),
    facts.verdict(3),
    facts.label(3),
    facts.dropped(4),
    facts.step(1, 3),
    facts.escalated(3, 2),
    facts.vote(3),
    facts.kept(),
    facts.bundle(),
    facts.withdrawn(3),
    facts.restored(facts.sampled(3), facts.people_say(3), Reason.TIE, facts.vote(3)),
    facts.rewound(0, (3, 4), (5,)),
    facts.held_out(),
    facts.evaluated(1, "win", "tie"),
]
LONG = "a line of text, \N{SNOWMAN}\n" * 10_000
SURROGATE = "half an emoji \ud83d, the other half \ude00, \udcff, \x00 and \N{GHOST}"
HUGE = (1e308, -1e-308, math.inf, -math.inf, -0.0)

AWKWARD: dict[str, Record] = {
    "lone surrogates": replace(
        facts.verdict(0), raw=SURROGATE, prompt=SURROGATE, failure=SURROGATE
    ),
    "200 kB of text": facts.sampled(0, replace(facts.completion(1), text=LONG)),
    "no tokens": facts.sampled(0, facts.completion(), prompt_tokens=()),
    "no tickets": facts.step(1),
    "no outcomes": facts.evaluated(0),
    "no messages": replace(facts.held_out(), prompts=(), completions=()),
    "an empty conversation": replace(facts.sampled(0), messages=()),
    "infinite": replace(facts.step(1), margins=HUGE, metrics={"x": -math.inf}),
    "negative": replace(facts.step(-1), tickets=(-1, -(2**63)), loss=-5.5),
    "the largest numbers": replace(facts.submitted(2**63, 2**64 - 1), time=-1.0),
    "unicode keys": replace(facts.verdict(0), judge={"\N{SNOWMAN}": {"": None}}),
    "nested mappings": facts.process_started(a={"b": {"c": (1, (2.5, "x"), True)}}),
    "bytes": facts.process_started(a=b"\x00\xff"),
    "a file that is no text": facts.vote(0, raw=bytes(range(256)), note=SURROGATE),
    "an empty file": facts.kept(raw=b""),
    "time taken": facts.vote(0, seconds=-0.0),
    "no bad lines": replace(facts.bundle(), refused=()),
    "nothing to go back to": facts.rewound(0),
    "neither is better": facts.people_say(0, None, Reason.BAD),
    "a second turn": facts.sampled(9, repeats=0),
    "nobody was asked": replace(
        facts.restored(facts.sampled(0), facts.label(0)), verdicts=()
    ),
    "a null": facts.verdict(0, winner=None, failure="none"),
}


@pytest.mark.parametrize("record", PLAIN, ids=lambda r: type(r).__name__)
def test_every_kind_of_record_comes_back(record: Record) -> None:
    """Equal in every field, and of the same types."""
    (again,) = decode(encode([record]))
    assert (type(again), again) == (type(record), record)
    assert repr(again) == repr(record)


@pytest.mark.parametrize("record", AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_values_come_back(record: Record) -> None:
    """To the last bit: `repr` tells -0.0 from 0.0 and True from 1."""
    (again,) = decode(encode([record]))
    assert repr(again) == repr(record)


def test_no_number_comes_back_as_no_number() -> None:
    """NaN stays NaN wherever it stands."""
    (again,) = decode(
        encode([replace(facts.step(1), loss=math.nan, metrics={"x": math.nan})])
    )
    assert "loss=nan" in repr(again) and "{'x': nan}" in repr(again)


def test_a_frame_keeps_the_order_of_its_records() -> None:
    """All kinds together, and none at all."""
    assert decode(encode(PLAIN)) == PLAIN
    assert decode(encode([])) == []


def test_every_kind_has_a_name() -> None:
    """No fact can be made that could not be written."""
    assert set(KINDS.values()) == set(get_args(Record)) == {type(r) for r in PLAIN}


@pytest.mark.parametrize("key", [1, 2.5, True, None, b"k", (1, 2)])
def test_what_is_written_can_be_read(key: object) -> None:
    """Whatever mapping a settings file holds: refused before writing, or read back.

    Otherwise a journal could be acknowledged that nobody can open again.
    """
    record = facts.process_started(optimizer_config={"adam": {key: 1}})
    try:
        payload = encode([record])
    except (JournalError, TypeError, ValueError):
        return
    assert decode(payload) == [record]


def rows() -> list[dict[str, Any]]:
    """A frame's payload as plain data."""
    unpacked: list[dict[str, Any]] = msgpack.unpackb(encode([facts.label(3)]))
    return unpacked


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "telepathy"}, f"'telepathy' of version {VERSION} is not known"),
        ({"v": VERSION + 1}, f"'label' of version {VERSION + 1} is not known"),
        ({"v": 10**6}, "'label' of version 1000000 is not known"),
    ],
)
def test_a_record_of_a_newer_version_is_refused(
    change: dict[str, Any], says: str
) -> None:
    """It is not skipped, and the hint says what can read it."""
    with pytest.raises(JournalError, match=says) as refused:
        decode(msgpack.packb([{**rows()[0], **change}]))
    assert "newer" in refused.value.hint


# As onlinedpo 0.1.0 wrote them, before people could judge.
OLD_SIDE = {"tokens": [4, 5], "text": "a", "finish": "stop"}
OLD: list[tuple[dict[str, Any], Record]] = [
    (
        {
            "kind": "sampled",
            "v": 1,
            "ticket": 3,
            "epoch": 0,
            "prompt": 3,
            "messages": [{"role": "user", "content": "?"}],
            "prompt_tokens": [1, 2, 3],
            "first": OLD_SIDE,
            "second": {**OLD_SIDE, "text": "b"},
            "step": 0,
            "time": 1.5,
        },
        Sampled(
            ticket=3,
            epoch=0,
            prompt=3,
            messages=({"role": "user", "content": "?"},),
            prompt_tokens=(1, 2, 3),
            first=Completion(tokens=(4, 5), text="a", finish="stop"),
            second=Completion(tokens=(4, 5), text="b", finish="stop"),
            step=0,
            time=1.5,
            repeats=None,
        ),
    ),
    (
        {
            "kind": "label",
            "v": 1,
            "ticket": 3,
            "chosen": "second",
            "source": "judge",
            "confidence": 0.9,
            "time": 1.5,
        },
        Label(
            ticket=3,
            chosen="second",
            source="judge",
            confidence=0.9,
            time=1.5,
            reason="",
        ),
    ),
]


@pytest.mark.parametrize(("row", "record"), OLD, ids=["sampled", "label"])
def test_a_record_of_an_earlier_version_is_read(
    row: dict[str, Any], record: Record
) -> None:
    """A run that was begun before people could judge goes on."""
    assert decode(msgpack.packb([row])) == [record]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgpack.packb(5),
        msgpack.packb("text"),
        msgpack.packb([5]),
        msgpack.packb([{}]),
        msgpack.packb([{"kind": "label"}]),
        msgpack.packb([{"kind": "label", "v": "1"}]),
        msgpack.packb([{"kind": ["label"], "v": 1}]),
        msgpack.packb([{**rows()[0], "surprise": 1}]),
        msgpack.packb([{k: v for k, v in rows()[0].items() if k != "chosen"}]),
        msgpack.packb([{"kind": "sampled", "v": 1, "first": 5}]),
        encode(PLAIN)[:-1],
        encode(PLAIN) + b"\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_a_payload_that_is_no_list_of_records_is_a_journal_error(
    payload: bytes,
) -> None:
    """Never a half-read record, never an error of another kind."""
    with pytest.raises(JournalError):
        decode(payload)


def test_a_record_is_plain_data_for_people() -> None:
    """`show` prints it as JSON, with its kind."""
    told = as_map(facts.sampled(3))
    assert told["kind"] == "sampled"
    assert told["first"]["tokens"] == (4, 5, 6)
    for record in [*PLAIN, *AWKWARD.values()]:
        assert json.loads(json.dumps(as_map(record)))["kind"] in KINDS


def test_what_a_person_saved_is_shown_as_they_saved_it() -> None:
    """Text is text; bytes that are none are spelled; also inside other records."""
    vote = facts.vote(0, raw=b"choice: 1\n\xff \xc3\xa9")
    assert as_map(vote)["raw"] == "choice: 1\n\\xff \xe9"
    pair = facts.restored(facts.sampled(0), facts.label(0), "", vote)
    assert as_map(pair)["votes"][0]["raw"] == as_map(vote)["raw"]
