"""Facts for tests: each function makes one record, with plain values for the rest."""

from __future__ import annotations

from typing import Any, Literal

from onlinedpo.states.answers import Value
from onlinedpo.states.config import Settings
from onlinedpo.states.records import (
    Bundle,
    Completion,
    Derived,
    Dropped,
    Escalated,
    Evaluated,
    HeldOut,
    Kept,
    Label,
    ProcessStarted,
    Ranked,
    Reason,
    Record,
    Restored,
    Rewound,
    RunOpened,
    Sampled,
    Shown,
    Side,
    Step,
    Submitted,
    TailCut,
    Verdict,
    Vote,
    Why,
    Withdrawn,
)

NOW = 1_700_000_000.5


def run_opened(**wanted: Any) -> RunOpened:
    """A run of these settings begins."""
    return RunOpened(
        run_id="ab" * 16,
        time=NOW,
        version="0.1.0",
        settings=Settings(**wanted).as_dict(),
        model={"name": "toy", "weights": "12"},
        judge={"name": "toy"},
        data={"train": "34"},
        initial="56",
    )


def derived(**wanted: Any) -> Derived:
    """This run has another run's pairs."""
    plain: dict[str, Any] = {
        "purpose": "fork",
        "source": "cd" * 16,
        "frame": 12,
        "chain": b"\x07" * 32,
        "step": 3,
        "labels": "same",
        "changed": {},
        "judge": {"name": "toy"},
        "time": NOW,
    }
    return Derived(**(plain | wanted))


def process_started(**changed: Any) -> ProcessStarted:
    """A process takes the run up."""
    return ProcessStarted(
        time=NOW, version="0.1.0", environment={"device": "cpu"}, changed=changed
    )


def tail_cut() -> TailCut:
    """Seven bytes were cut off."""
    return TailCut(
        time=NOW, segment=1, offset=400, size=7, sha256="78", kept_as="quarantine/x"
    )


def completion(*tokens: int, finish: Literal["stop", "length"] = "stop") -> Completion:
    """A completion of these tokens."""
    return Completion(tokens=tokens, text=f"t{tokens}", finish=finish)


def sampled(
    ticket: int,
    first: Completion | None = None,
    second: Completion | None = None,
    *,
    prompt_tokens: tuple[int, ...] = (1, 2, 3),
    step: int = 0,
    repeats: int | None = None,
) -> Sampled:
    """A pair; its two completions differ unless they are given."""
    return Sampled(
        ticket=ticket,
        epoch=0,
        prompt=ticket,
        messages=({"role": "user", "content": "?"},),
        prompt_tokens=prompt_tokens,
        first=first or completion(4, 5, 6),
        second=second or completion(7, 8, finish="length"),
        step=step,
        time=NOW,
        repeats=repeats,
    )


def ranked(ticket: int) -> Ranked:
    """What a judge says of two draws of a prompt."""
    return Ranked(ticket=ticket, verdicts=(verdict(6 * ticket),), time=NOW)


def submitted(*tickets: int) -> Submitted:
    """These pairs go to the judge."""
    return Submitted(tickets=tickets, time=NOW)


def verdict(
    ticket: int,
    shown: Shown = "first-second",
    winner: Literal["first", "second", "tie"] | None = "first",
    *,
    logprobs: tuple[float, float] = (-0.1, -2.4),
    failure: str = "",
) -> Verdict:
    """A judge's answer for one order."""
    return Verdict(
        ticket=ticket,
        shown=shown,
        winner=winner,
        failure=failure,
        logprobs=logprobs,
        raw="A",
        judge={"name": "toy"},
        prompt="Which?",
        prompt_tokens=(9, 9),
        attempt=1,
        seconds=0.25,
        time=NOW,
    )


def label(ticket: int, chosen: Side = "first") -> Label:
    """A judge's decision."""
    return Label(ticket=ticket, chosen=chosen, source="judge", confidence=0.9, time=NOW)


def people_say(ticket: int, chosen: Side | None = "first", reason: str = "") -> Label:
    """A decision of people, who may also find that neither is better."""
    return Label(
        ticket=ticket,
        chosen=chosen,
        source="human",
        confidence=1.0,
        time=NOW,
        reason=reason,
    )


def escalated(ticket: int, slots: int = 1, why: str = Why.HUMAN) -> Escalated:
    """People are asked for so many answers."""
    return Escalated(ticket=ticket, slots=slots, why=why, time=NOW)


def vote(ticket: int, value: Value = "first", slot: int = 1, **wanted: Any) -> Vote:
    """An answer, saved as a label file of its own."""
    name = f"{ticket}-{slot}.md"
    plain: dict[str, Any] = {
        "ticket": ticket,
        "slot": slot,
        "value": value,
        "strong": False,
        "shown": "first-second",
        "annotator": "anna",
        "source": "human",
        "note": "",
        "raw": f"choice: {value}".encode(),
        "path": f"todo/{name}",
        "kept_as": f"done/{name}",
        "seconds": None,
        "guidelines": "9a",
        "saved": NOW - 1,
        "time": NOW,
    }
    return Vote(**(plain | wanted))


def kept(path: str = "todo/0-1.md", raw: bytes = b"choice:") -> Kept:
    """A file that was saved without an answer."""
    return Kept(path=path, raw=raw, reason="no choice yet", time=NOW)


def bundle(path: str = "inbox/a.jsonl") -> Bundle:
    """A dropped file with two answers and two lines that are none."""
    return Bundle(
        path=path,
        kept_as=path.replace("inbox", "done"),
        sha256="ab" * 32,
        size=400,
        format="jsonl",
        taken=2,
        unchanged=1,
        refused=((3, "no choice"), (7, "no such pair")),
        more=0,
        time=NOW,
    )


def withdrawn(ticket: int) -> Withdrawn:
    """The answer was taken back."""
    return Withdrawn(ticket=ticket, time=NOW)


def restored(pair: Sampled, label: Label, was: str = "", *votes: Vote) -> Restored:
    """A pair that had ended, as it is put back."""
    return Restored(
        sampled=pair,
        slots=len(votes),
        verdicts=(verdict(pair.ticket),),
        votes=votes,
        label=label,
        was=was,
        time=NOW,
    )


def rewound(to: int, *batches: tuple[int, ...]) -> Rewound:
    """The steps after one are undone; these batches are trained on next."""
    tickets = tuple(ticket for batch in batches for ticket in batch)
    return Rewound(to=to, tickets=tickets, batches=batches, time=NOW)


def dropped(ticket: int, reason: str = Reason.TIE) -> Dropped:
    """A turn that ends without training."""
    return Dropped(ticket=ticket, reason=reason, detail="", time=NOW)


def step(index: int, *tickets: int, state: str = "") -> Step:
    """A step on these pairs."""
    return Step(
        index=index,
        tickets=tickets,
        loss=0.69,
        grad_norm=1.5,
        metrics={"loss": 0.69},
        margins=(0.0,) * len(tickets),
        state=state,
        seconds={"train": 0.5},
        time=NOW,
    )


def held_out() -> HeldOut:
    """What the reference answers to two held-out prompts."""
    return HeldOut(
        prompts=(({"role": "user", "content": "?"},),) * 2,
        completions=(completion(1), completion(2, 3)),
        time=NOW,
    )


def evaluated(at: int, *outcomes: str) -> Evaluated:
    """A win rate after `at` steps."""
    return Evaluated(
        step=at,
        completions=tuple(completion(i) for i, _ in enumerate(outcomes)),
        outcomes=outcomes,
        seconds=1.0,
        time=NOW,
    )


def life(ticket: int, step_index: int) -> list[list[Record]]:
    """All facts of one prompt that is trained on, as the frames they are written in."""
    return [
        [sampled(ticket, step=step_index - 1)],
        [submitted(ticket)],
        [
            verdict(ticket),
            verdict(ticket, "second-first", logprobs=(-2.0, -0.2)),
            label(ticket),
        ],
        [step(step_index, ticket, state=f"s{step_index}")],
    ]
