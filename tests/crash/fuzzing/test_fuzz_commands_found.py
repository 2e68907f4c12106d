"""Journals that fuzzing found: each of them ended commands with a traceback once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.errors import AuditFailed
from tests.crash.fuzzing.fuzz_made import GOLDEN, packed, unpacked
from tests.crash.fuzzing.test_fuzz_commands import (
    COMMAND_LINES,
    Commands,
)

# Which journal, the kind of record that is forged, how, and what is said of it.
FORGED: dict[str, tuple[str, str, Callable[[dict[Any, Any]], Any], str]] = {
    "settings under numbers": (
        *("hybrid", "run-opened", lambda row: row["settings"].update({5: 1})),
        "the setting 5 is not known to this version",
    ),
    "settings that are bytes": (
        *("hybrid", "run-opened", lambda row: row["settings"].update(data=b"\xff")),
        "settings: data is b'\\xff', which is not text",
    ),
    "settings without end": (
        *("hybrid", "run-opened", lambda row: row["settings"].update(data=deep(300))),
        "no run can have (RunOpened.settings: ",
    ),
    "a setting of another type": (
        *("hybrid", "run-opened", lambda row: row["settings"].update(iters="x")),
        "settings: iters is 'x', which is not a whole number",
    ),
    "a setting that nobody knows": (
        *("hybrid", "process-started", lambda row: row["changed"].update(kind=1)),
        "the setting 'kind' is not known to this version",
    ),
    "a panel of nobody": (
        *("hybrid", "run-opened", lambda row: row.update(judge={"kind": "panel"})),
        "no run can have (RunOpened.judge: {'kind': 'panel'}",
    ),
    "a device of numbers": (
        *("hybrid", "process-started", lambda row: row["environment"].update(device=5)),
        "no run can have (ProcessStarted.environment: ",
    ),
    "a message without content": (
        *("offline", "sampled", lambda row: row["messages"][0].pop("content")),
        "no run can have (Sampled.messages: ({'role': 'user'},)",
    ),
    "a message without a role": (
        *("offline", "sampled", lambda row: row["messages"][0].pop("role")),
        "no run can have (Sampled.messages: ",
    ),
    "messages that are numbers": (
        *("offline", "sampled", lambda row: row.update(messages=[5])),
        "no run can have (Sampled.messages: (5,)",
    ),
    "tokens of bytes": (
        *("offline", "sampled", lambda row: row["prompt_tokens"].append(b"\xff")),
        "no run can have (Sampled.prompt_tokens: ",
    ),
    "one draw of two": (
        *("offline", "sampled", lambda row: row.update(drawn=[1])),
        "no run can have (Sampled.drawn: (1,)",
    ),
    "an end that there is not": (
        *("offline", "sampled", lambda row: row["first"].update(finish="x")),
        "no run can have (Completion.finish: 'x'",
    ),
    "fewer margins than pairs": (
        *("offline", "step", lambda row: row["margins"].pop()),
        " margins",
    ),
    "a margin of text": (
        *("offline", "step", lambda row: row["margins"].insert(0, "x")),
        "no run can have (Step.margins: ('x', ",
    ),
    "a metric of text": (
        *("offline", "step", lambda row: row["metrics"].update({"kl": "x"})),
        "no run can have (Step.metrics: ",
    ),
    "seconds of text": (
        *("offline", "step", lambda row: row["seconds"].update(train="x")),
        "no run can have (Step.seconds: ",
    ),
    "pairs that are mappings": (
        *("offline", "step", lambda row: row["tickets"].append({})),
        "no run can have (Step.tickets: ",
    ),
    "pairs of text": (
        *("hybrid", "submitted", lambda row: row["tickets"].append("x")),
        "no run can have (Submitted.tickets: ",
    ),
    "a chance for one side": (
        *("hybrid", "verdict", lambda row: row["logprobs"].pop()),
        "no run can have (Verdict.logprobs: ",
    ),
    "answers without end": (
        *("hybrid", "escalated", lambda row: row.update(slots=2**40)),
        "no run can have (Escalated.slots: 1099511627776",
    ),
    "batches that are numbers": (
        *("people", "rewound", lambda row: row.update(batches=[5])),
        "no run can have (Rewound.batches: (5,)",
    ),
    "a held-out prompt without an answer": (
        *("judged", "held-out", lambda row: row["completions"].pop()),
        "held-out prompts: there are ",
    ),
    "no held-out answer": (
        *("judged", "evaluated", lambda row: row.update(completions=[], outcomes=[])),
        "held-out prompts: there are 0 answers, 0 outcomes",
    ),
}


def deep(levels: int) -> Any:
    """A list within a list, and so on."""
    return [deep(levels - 1)] if levels else []


@pytest.mark.parametrize("name", FORGED)
def test_a_value_that_no_run_can_have_is_told_with_its_frame(
    name: str, tmp_path: Path
) -> None:
    """By the commands that come upon it; none ends in a traceback."""
    journal, kind, forge, said = FORGED[name]
    frames, run = unpacked(GOLDEN / journal)
    rows = next(row for rows in frames for row in rows if row["kind"] == kind)
    forge(rows)
    data = packed(frames, run)
    commands = Commands(tmp_path, GOLDEN / journal)
    refused = [*commands.called(data, random.Random(1), COMMAND_LINES[::3])]
    for error in refused:
        assert f"{commands.run / 'journal' / '000001.odj'}: byte " in str(error)
        assert ": frame " in str(error)
    assert sum(said in str(error) for error in refused) > 5


@pytest.mark.parametrize("journal", ["hybrid", "offline"])
def test_a_prompt_of_no_message_is_told_as_that(journal: str, tmp_path: Path) -> None:
    """No run has one; the audit says so, and all others show what there is."""
    frames, run = unpacked(GOLDEN / journal)
    for rows in frames:
        for row in rows:
            if row["kind"] == "sampled":
                row["messages"] = []
    data = packed(frames, run)
    commands = Commands(tmp_path, GOLDEN / journal)
    for refused in commands.called(data, random.Random(1), COMMAND_LINES):
        assert isinstance(refused, AuditFailed), refused
