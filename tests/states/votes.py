"""What people say in tests: each function makes one record, or a pair's records."""

from __future__ import annotations

from typing import Any

from onlinedpo.states.records import Escalated, Record, Side, Vote, Why
from tests.states import facts


def vote(ticket: int, value: str = "first", **wanted: Any) -> Vote:
    """One answer; by Anna, in the first slot, as shown first-second, unless said."""
    slot = wanted.get("slot", 1)
    plain: dict[str, Any] = {
        "slot": slot,
        "strong": False,
        "shown": "first-second",
        "annotator": "anna",
        "source": "human",
        "note": "",
        "raw": f"{ticket} {wanted}".encode(),
        "path": f"todo/{ticket}.{slot}.md",
        "kept_as": f"done/{ticket}.{slot}.md",
        "seconds": None,
        "guidelines": "",
        "saved": facts.NOW,
        "time": facts.NOW,
    }
    return Vote(ticket=ticket, value=value, **(plain | wanted))  # type: ignore[arg-type]


def asked(ticket: int, slots: int = 1, why: str = Why.SHARE) -> Escalated:
    """People are asked about a pair."""
    return Escalated(ticket=ticket, slots=slots, why=why, time=facts.NOW)


def judged(
    ticket: int, one: Side | None, other: Side | None, slots: int, why: str
) -> list[Record]:
    """A pair on which the judge says this in its two orders, and people are asked."""
    return [
        facts.sampled(ticket),
        facts.submitted(ticket),
        facts.verdict(ticket, "first-second", one, failure="" if one else "no answer"),
        facts.verdict(ticket, "second-first", other, failure="" if other else "none"),
        asked(ticket, slots, why),
    ]
