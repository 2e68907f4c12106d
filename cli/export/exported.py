"""The labelled pairs of a run, written as preference data; and its judge's record.

The journal is read twice, since only its end says which label a pair has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.cli.export import eval_file, pair_files
from onlinedpo.cli.terminal import put, say
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError
from onlinedpo.states.export import eval_log, preferences
from onlinedpo.states.export.outcomes import Outcome, Outcomes
from onlinedpo.states.export.preferences import OneTurnOnly, Style
from onlinedpo.states.records import RunOpened
from onlinedpo.states.visible import json_line

STYLED = ("jsonl", "parquet", "datasets")
FORMATS = (*STYLED, "mlx-lm-lora", "inspect")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the first reading of a journal found."""

    journal: Path
    opened: RunOpened
    outcomes: dict[int, Outcome]
    """Of each pair, by the ticket of each of its turns."""
    unsampled: Counter[str]
    """Prompts for which nothing was sampled, and why."""
    last: float
    """When the last fact was noted."""

    def pairs(self) -> list[Outcome]:
        """Each pair once."""
        return [o for ticket, o in self.outcomes.items() if o.ticket == ticket]


def write(
    run: Path, journal: Path, format_: str, style: Style | None, output: Path | None
) -> None:
    """Write the pairs of a run, and say how many went where; raises `UsageError`."""
    _must_be_possible(format_, output)
    reading = _read(run, journal)
    if format_ == "inspect":
        assert output is not None
        _write_log(run, reading, output)
        return
    pairs = reading.pairs()
    if not any(pair.chosen for pair in pairs):
        raise UsageError(
            f"no pair of {run} has a label with a winner ({_counts(pairs)})",
            hint="Let the run go on, or see 'onlinedpo status'.",
        )
    rows = _rows(reading, format_, style or "conversational")
    if output is None:
        for labelled, row in rows:
            if labelled:
                put(json_line(row) + "\n")
    else:
        pair_files.write(format_, output, style or "conversational", rows)
    for line in _said(run, reading, format_, output):
        say(line, err=output is None)


def _must_be_possible(format_: str, output: Path | None) -> None:
    if output is None:
        if format_ == "jsonl":
            return
        raise UsageError(
            f"--format {format_} is not written to standard output",
            hint="Give a file or folder with -o.",
        )
    if format_ == "inspect":
        pair_files.must_be_free(output)
        if output.suffix != ".eval":
            raise UsageError(
                f"{output} has no name that Inspect opens",
                hint="Let it end in .eval.",
            )
        return
    # The folder first: a file in it cannot be there without it.
    for path in (output, *pair_files.places(format_, output)):
        if path.parent != output:
            pair_files.must_be_free(path)


def _read(run: Path, journal: Path) -> Reading:
    outcomes, last = Outcomes(), 0.0
    for place, batch in Reader(journal).batches():
        with place.named():
            for record in batch:
                outcomes.take(record)
                last = record.time
    if outcomes.ledger.opened is None:
        raise UsageError(f"{run} has not begun yet", hint="Start it: onlinedpo run.")
    return Reading(
        journal,
        outcomes.ledger.opened,
        outcomes.standing(),
        outcomes.unsampled,
        last,
    )


def _rows(
    reading: Reading, format_: str, style: Style
) -> Iterator[tuple[bool, pair_files.Row]]:
    """(whether a pair is labelled, its row) for each that is that or undecided."""
    run, records = reading.opened.run_id, Reader(reading.journal).records()
    for pair, outcome in preferences.labelled(records, reading.outcomes):
        labelled = outcome.chosen is not None
        if labelled and format_ == "mlx-lm-lora":
            try:
                yield True, preferences.mlx_lm_lora(run, pair, outcome)
            except OneTurnOnly as error:
                raise UsageError(
                    f"mlx-lm-lora cannot hold pair {outcome.pair}: {error}",
                    hint="It holds one user's turn, perhaps after the system's. Use"
                    " --format jsonl, and turn its rows into what you need.",
                ) from None
        else:
            yield labelled, preferences.row(run, pair, outcome, style)


def _write_log(run: Path, reading: Reading, output: Path) -> None:
    judged = [pair for pair in reading.pairs() if pair.judged]
    if not judged:
        raise UsageError(
            f"no pair of {run} was judged by a model",
            hint="Inspect shows what one said. Of people: 'onlinedpo agreement'.",
        )
    records = Reader(reading.journal).records()
    samples = (
        eval_log.sample(*found) for found in eval_log.judged(records, reading.outcomes)
    )
    head = eval_log.head(reading.opened, judged, reading.last)
    eval_file.write(output, head, samples)
    what = "judged pair" if len(judged) == 1 else "judged pairs"
    say(f"{len(judged)} {what} written to {output}")


def _said(
    run: Path, reading: Reading, format_: str, output: Path | None
) -> Iterator[str]:
    """How many pairs went where."""
    pairs = reading.pairs()
    labelled = [pair for pair in pairs if pair.chosen]
    trained = sum(pair.step is not None for pair in labelled)
    where = pair_files.places(format_, output) if output else ("standard output", "")
    yield f"{_of(labelled)} written to {where[0]}, {trained} of them trained on"
    if undecided := [pair for pair in pairs if not pair.chosen and pair.reason]:
        to = f"written to {where[1]}" if output else "not written: that takes -o"
        yield f"{_of(undecided)} without a winner {to} ({_told(_reasons(pairs))})"
    if waiting := [pair for pair in pairs if pair.open]:
        has = "has" if len(waiting) == 1 else "have"
        yield f"{_of(waiting)} {has} no label yet; see 'onlinedpo status {run}'"
    if count := reading.unsampled.total():
        have = "prompt has" if count == 1 else "prompts have"
        yield f"{count} {have} no pair ({_told(reading.unsampled)})"


def _of(pairs: list[Outcome]) -> str:
    return f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}"


def _counts(pairs: list[Outcome]) -> str:
    waiting = sum(pair.open for pair in pairs)
    told = _told(_reasons(pairs) + Counter({"no label yet": waiting}))
    return told or "nothing has been sampled"


def _told(reasons: Counter[str]) -> str:
    return ", ".join(f"{why} {n}" for why, n in reasons.most_common())


def _reasons(pairs: list[Outcome]) -> Counter[str]:
    return Counter(pair.reason for pair in pairs if not pair.chosen and pair.reason)
