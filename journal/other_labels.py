"""Another judge's verdicts on the pairs of a run: for a fork that learns from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal.forking import Source
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError
from onlinedpo.states.labelling import screen
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Reason,
    Restored,
    Sampled,
    Verdict,
)
from onlinedpo.states.replanning import Choose, Ended, as_judged


@dataclass(frozen=True, slots=True)
class Rejudged:
    """Another judge's verdicts on the pairs of a run."""

    judge: Mapping[str, Any]
    """Who it is, by content."""
    settings: Mapping[str, Any]
    """The settings that name it."""
    verdicts: Mapping[int, tuple[Verdict, ...]]
    left_out: int
    """Pairs of the run that it was not asked about."""

    def choose(self, now: float) -> Choose:
        """What these verdicts come to, for each pair."""

        def chosen(ended: Ended) -> Restored | None:
            assert ended.turn.sampled is not None
            verdicts = self.verdicts.get(ended.turn.sampled.ticket, ())
            return as_judged(ended, verdicts, now)

        return chosen


def rejudged(folder: Path, source: Source) -> Rejudged:
    """Read another judge's verdicts on a run's pairs.

    Raises `UsageError` where they are on another run's, or are not complete.
    """
    ledger = Ledger()
    names: dict[int, str] = {}
    verdicts: dict[int, tuple[Verdict, ...]] = {}
    for _, batch in Reader(folder / "journal").folded(ledger):
        for record in batch:
            match record:
                case Sampled(ticket=ticket):
                    names[ticket] = record.pair
                case Verdict(ticket=ticket):
                    verdicts[ticket] = (*verdicts.get(ticket, ()), record)
    derived = _must_be_of(folder, ledger, source)
    left_out: set[int] = set()
    for place, batch in Reader(source.journal).batches():
        if place.number == derived.frame and place.chain != derived.chain:
            raise _foreign(folder, f"frame {place.number} is another one")
        for pair in (record for record in batch if isinstance(record, Sampled)):
            ended = pair.ticket < ledger.next_ticket and pair.ticket not in ledger.turns
            if place.number <= derived.frame and not ended:
                raise UsageError(
                    f"{folder} is not complete: pair {pair.pair} is still to be judged",
                    hint="Let 'onlinedpo rejudge' go on to its end first.",
                )
            if names.get(pair.ticket, pair.pair) != pair.pair:
                raise _foreign(folder, f"pair {pair.pair} is {names[pair.ticket]}")
            # What reads the same and what is there twice is never judged.
            single = pair.repeats not in names and screen(pair, 0.0) is None
            if pair.ticket not in names and single:
                left_out.add(pair.ticket)
        # Nor is what the run itself had not judged.
        left_out -= {
            record.ticket
            for record in batch
            if isinstance(record, Dropped) and record.reason == Reason.TRUNCATED
        }
    opened = ledger.opened
    assert opened is not None
    return Rejudged(opened.judge, ledger.settings, verdicts, len(left_out))


def _must_be_of(folder: Path, ledger: Ledger, source: Source) -> Derived:
    """What the folder says it is; raises `UsageError` if that is not of the run."""
    derived, opened = ledger.derived, source.ledger.opened
    if derived is None or derived.purpose != "rejudge":
        raise UsageError(
            f"{folder} does not hold another judge's verdicts",
            hint="Give --rejudged the folder that 'onlinedpo rejudge' has written.",
        )
    assert opened is not None
    if derived.source != opened.run_id:
        ids = f"{derived.source[:8]}, not {opened.run_id[:8]}"
        raise _foreign(folder, f"the run is {ids}")
    return derived


def _foreign(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"{folder} holds verdicts on the pairs of another run: there {why}",
        hint="Give --rejudged the folder that 'onlinedpo rejudge' wrote of this run.",
    )
