"""The life of a prompt: one table, and the two ways of moving through it.

`TRANSITIONS` drives the live run (a `transitions` machine) and the replay (a look-up).
A test holds both, and the drawing in the README, to this table.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from transitions import Machine, MachineError

from onlinedpo.states.errors import IllegalMove


class Phase(Enum):
    """Where a prompt stands."""

    QUEUED = "queued"
    SAMPLED = "sampled"
    JUDGING = "judging"
    LABELLED = "labelled"
    APPLIED = "applied"
    DROPPED = "dropped"


# Each is equal to itself only: Enum would take the hash of its name, in Python.
Phase.__hash__ = object.__hash__  # type: ignore[method-assign]


TRANSITIONS: tuple[tuple[str, Phase, Phase], ...] = (
    ("sample", Phase.QUEUED, Phase.SAMPLED),
    ("submit", Phase.SAMPLED, Phase.JUDGING),
    ("escalate", Phase.JUDGING, Phase.JUDGING),
    ("label", Phase.JUDGING, Phase.LABELLED),
    ("relabel", Phase.LABELLED, Phase.LABELLED),
    ("withdraw", Phase.LABELLED, Phase.JUDGING),
    ("apply", Phase.LABELLED, Phase.APPLIED),
    ("drop", Phase.QUEUED, Phase.DROPPED),
    ("drop", Phase.SAMPLED, Phase.DROPPED),
    ("drop", Phase.JUDGING, Phase.DROPPED),
    ("drop", Phase.LABELLED, Phase.DROPPED),
    ("rewind", Phase.APPLIED, Phase.LABELLED),
    ("rewind", Phase.DROPPED, Phase.LABELLED),
)

FINAL = (Phase.APPLIED, Phase.DROPPED)
"""Where a turn ends, unless a person has the run rewound."""

_TABLE = {(trigger, source): dest for trigger, source, dest in TRANSITIONS}

Move = Callable[[Phase, str], Phase]
"""(phase, trigger) -> next phase; raises `IllegalMove`."""


def by_table(phase: Phase, trigger: str) -> Phase:
    """Move by looking the table up: for replay, where there may be a million moves."""
    try:
        return _TABLE[trigger, phase]
    except KeyError:
        raise _illegal(phase, trigger) from None


class LiveMachine:
    """Moves by firing events on a `transitions` machine: for the live run.

    One model is enough: it is put where the prompt stands and the event is fired.
    """

    def __init__(self) -> None:
        """Build the machine from the table; jumps that it does not list are illegal."""
        self.phase = Phase.QUEUED
        self._machine = Machine(
            model=self,
            states=Phase,
            transitions=[
                {"trigger": trigger, "source": source, "dest": dest}
                for trigger, source, dest in TRANSITIONS
            ],
            initial=Phase.QUEUED,
            auto_transitions=False,
            model_attribute="phase",
        )

    def __call__(self, phase: Phase, trigger: str) -> Phase:
        """Fire `trigger` for a prompt that stands at `phase`."""
        self._machine.set_state(phase, self)
        try:
            self.trigger(trigger)  # type: ignore[attr-defined]
        except (MachineError, AttributeError):
            raise _illegal(phase, trigger) from None
        return self.phase


def _illegal(phase: Phase, trigger: str) -> IllegalMove:
    return IllegalMove(f"a prompt that is {phase.value} cannot {trigger}")


def diagram() -> str:
    """The table as a Mermaid state diagram, as the README shows it."""
    rows = [
        f"    {source.name} --> {dest.name}: {trigger}"
        for trigger, source, dest in TRANSITIONS
    ]
    ends = [f"    {phase.name} --> [*]" for phase in FINAL]
    return "\n".join(
        ["stateDiagram-v2", f"    [*] --> {Phase.QUEUED.name}", *rows, *ends]
    )
