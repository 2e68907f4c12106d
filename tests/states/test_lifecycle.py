"""The life of a prompt: what may follow what, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.lifecycle import (
    FINAL,
    TRANSITIONS,
    LiveMachine,
    Move,
    Phase,
    by_table,
    diagram,
)

LEGAL = {
    (Phase.QUEUED, "sample"): Phase.SAMPLED,
    (Phase.SAMPLED, "submit"): Phase.JUDGING,
    (Phase.JUDGING, "escalate"): Phase.JUDGING,
    (Phase.JUDGING, "label"): Phase.LABELLED,
    (Phase.LABELLED, "relabel"): Phase.LABELLED,
    (Phase.LABELLED, "withdraw"): Phase.JUDGING,
    (Phase.LABELLED, "apply"): Phase.APPLIED,
    (Phase.QUEUED, "drop"): Phase.DROPPED,
    (Phase.SAMPLED, "drop"): Phase.DROPPED,
    (Phase.JUDGING, "drop"): Phase.DROPPED,
    (Phase.LABELLED, "drop"): Phase.DROPPED,
    (Phase.APPLIED, "rewind"): Phase.LABELLED,
    (Phase.DROPPED, "rewind"): Phase.LABELLED,
}
# What `transitions` would add by itself, and names that the live machine has.
NO_TRIGGERS = (
    "",
    "to_APPLIED",
    "to_QUEUED",
    "to_LABELLED",
    "may_sample",
    "is_QUEUED",
    "trigger",
    "phase",
)
TRIGGERS = (*sorted({trigger for trigger, *_ in TRANSITIONS}), *NO_TRIGGERS)
PAIRS = list(product(Phase, TRIGGERS))


def moved(move: Move, phase: Phase, trigger: str) -> Phase | str:
    """Where the move leads, or what the error says."""
    try:
        return move(phase, trigger)
    except IllegalMove as error:
        return str(error)


def name(value: object) -> str:
    """A readable test id."""
    return value.name if isinstance(value, Phase) else str(value) or "empty"


@pytest.mark.parametrize("move", [by_table, LiveMachine()], ids=["table", "machine"])
@pytest.mark.parametrize(("phase", "trigger"), PAIRS, ids=name)
def test_only_the_moves_of_a_prompts_life_are_possible(
    move: Move, phase: Phase, trigger: str
) -> None:
    """Every phase with every trigger: the move that the design has, or IllegalMove."""
    if (phase, trigger) in LEGAL:
        assert move(phase, trigger) is LEGAL[phase, trigger]
    else:
        with pytest.raises(IllegalMove, match=f"is {phase.value} cannot {trigger}"):
            move(phase, trigger)


def test_live_run_and_replay_agree() -> None:
    """One machine, used for every pair in turn, does what the table says, word by word.

    That it is used again after an illegal move matters: it serves all prompts.
    """
    machine = LiveMachine()
    for phase, trigger in [*PAIRS, *reversed(PAIRS)]:
        assert moved(machine, phase, trigger) == moved(by_table, phase, trigger)


def test_the_machine_gains_no_jump_of_its_own() -> None:
    """No method such as to_APPLIED exists by which a prompt could skip its life."""
    jumps = [name for name in dir(LiveMachine()) if name.startswith("to_")]
    assert jumps == []


def test_what_has_ended_stays_ended_unless_rewound() -> None:
    """Only a rewind leads out of APPLIED and DROPPED, and no other phase is an end."""
    ways_on = {source for trigger, source, _ in TRANSITIONS if trigger != "rewind"}
    assert set(Phase) - ways_on == set(FINAL) == {Phase.APPLIED, Phase.DROPPED}
    rewound = {source for trigger, source, _ in TRANSITIONS if trigger == "rewind"}
    assert rewound == set(FINAL)


def test_the_diagram_shows_the_table_and_nothing_else() -> None:
    """Every transition is one arrow, with the start and both ends."""
    head, *arrows = diagram().splitlines()
    assert head == "stateDiagram-v2"
    wanted = [
        f"{src.name} --> {dest.name}: {trigger}" for trigger, src, dest in TRANSITIONS
    ]
    ends = ["APPLIED --> [*]", "DROPPED --> [*]"]
    assert sorted(a.strip() for a in arrows) == sorted(
        ["[*] --> QUEUED", *wanted, *ends]
    )
