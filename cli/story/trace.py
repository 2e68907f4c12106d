"""`onlinedpo trace`: why the model learned something, from a step back to its evidence.

And on from a pair, a prompt or a person's file to the steps that trained on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.story import fate, trace_facts
from onlinedpo.cli.story import words as story
from onlinedpo.cli.story.saved_files import lies, versions
from onlinedpo.cli.terminal import say
from onlinedpo.journal import manifest
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError
from onlinedpo.states.lineage import Lineage, Training
from onlinedpo.states.records import Vote
from onlinedpo.states.turns import Turn


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--step", metavar="N", type=int, help="From step N back to its evidence.")
@click.option("--pair", metavar="PAIR", help="From a pair to the steps it was in.")
@click.option("--prompt", metavar="N", type=int, help="From prompt N of the data.")
@click.option("--file", metavar="FILE", type=Path, help="From a file that was saved.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trace(run_folder: Path, as_json: bool, **asked: Any) -> None:
    """Say why the model learned something: in which step, from which judgements.

    --step N gives the pairs of a step in their order, with the exact questions to the
    judge and its answers, the files that people saved, and the settings in force. The
    others lead the other way, to the steps: --pair from a pair, --prompt from a place
    in the data, --file from what a person saved. A step that a rewind undid is told as
    such, and the one that stands is shown.

    \b
    Examples:
      onlinedpo trace runs/demo --step 12
      onlinedpo trace runs/mine --file runs/mine/labels/done/000042-9c1f0a77.md
    """
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            "it is not clear what to trace",
            hint="Give one of --step, --pair, --prompt and --file.",
        )
    journal_of(run_folder)
    for line in _WAYS[given[0]](run_folder, asked[given[0]], as_json):
        say(line)


def _from_step(folder: Path, index: int, as_json: bool) -> Iterator[str]:
    lineage = _read(folder, Lineage(step=index))
    if not lineage.trainings:
        raise fate.not_taken(index, lineage.ledger.steps)
    if as_json:
        yield story.as_json(trace_facts.of_step(folder, lineage))
        return
    *earlier, shown = lineage.trainings
    yield from _step(folder, shown, earlier)
    for place, (ticket, turn) in enumerate(shown.turns.items(), start=1):
        assert turn.sampled is not None
        yield ""
        yield (
            f"pair {place} of {len(shown.turns)}: {turn.sampled.pair},"
            f" {fate.trained_as(turn)}, margin {shown.margin(ticket):+.5f}"
        )
        yield from _evidence(folder, turn)


def _from_pair(folder: Path, pair: str, as_json: bool) -> Iterator[str]:
    ticket = fate.ticket_of(pair)
    lineage = _read(folder, Lineage(tickets=[ticket]))
    fate.must_be(pair, fate.name_of(lineage, ticket), folder)
    if as_json:
        yield story.as_json(trace_facts.of_pairs(folder, lineage))
        return
    yield from fate.lines(lineage)
    if turn := lineage.turn(ticket):
        yield from _evidence(folder, turn)


def _from_prompt(folder: Path, prompt: int, as_json: bool) -> Iterator[str]:
    lineage = _read(folder, Lineage(prompt=prompt))
    if not lineage.tickets:
        raise UsageError(
            f"prompt {prompt} was not sampled in {folder}",
            hint="Prompts are counted from 0, as they stand in the data.",
        )
    if as_json:
        yield story.as_json(trace_facts.of_pairs(folder, lineage))
        return
    turn = next(filter(None, map(lineage.turn, lineage.tickets)), None)
    yield f"prompt {prompt} of {folder}"
    if turn and turn.sampled:
        for message in turn.sampled.messages:
            yield from story.quoted(message["role"], message["content"])
    yield ""
    yield from fate.lines(lineage)


def _from_file(folder: Path, file: Path, as_json: bool) -> Iterator[str]:
    found = versions(folder, file)
    tickets = [v.record.ticket for v in found if isinstance(v.record, Vote)]
    lineage = _read(folder, Lineage(tickets=tickets))
    if as_json:
        facts = trace_facts.of_file(found) | trace_facts.of_pairs(folder, lineage)
        yield story.as_json(facts)
        return
    yield from fate.lines(lineage)
    for version in found:
        yield ""
        yield story.told(version.record)
    if isinstance(version.record, Vote):
        yield f"  {lies(folder, version.record)}"


_WAYS: dict[str, Callable[[Path, Any, bool], Iterator[str]]] = {
    "step": _from_step,
    "pair": _from_pair,
    "prompt": _from_prompt,
    "file": _from_file,
}


def _read(folder: Path, lineage: Lineage) -> Lineage:
    for place, batch in Reader(journal_of(folder)).batches():
        with place.named():
            for record in batch:
                lineage.take(place.number, record)
    return lineage


def _step(folder: Path, shown: Training, earlier: list[Training]) -> Iterator[str]:
    """A step: what it measured, from which policy it is, and what came out."""
    step = shown.step
    at = f"{story.when(step.time)} (frame {shown.frame} of the journal)"
    yield f"step {step.index} of {folder}, taken {at}"
    if shown.undone:
        yield f"  {fate.undone(shown.undone)}, and not taken again yet"
    for training in earlier:
        assert training.undone is not None
        at = f"{story.when(training.step.time)} (frame {training.frame})"
        yield f"  also taken {at}; that was {fate.undone(training.undone)}"
    yield (
        f"  {len(step.tickets)} pairs, loss {step.loss:.6f}, gradient norm"
        f" {step.grad_norm:.6f}; margins are those before the step"
    )
    pairs = [turn.sampled for turn in shown.turns.values() if turn.sampled]
    after = ", ".join(map(str, sorted({pair.step for pair in pairs})))
    of_file = any(pair.source == "file" for pair in pairs)
    how = "taken from a file" if of_file else "sampled by the policy"
    yield f"  {how} after step {after}"
    if step.state:
        place = f"checkpoints/{manifest.name_of(step.index)}"
        kept = f", in {place}" if (folder / place).exists() else ""
        yield f"  adapter and optimizer after it{kept}: SHA-256"
        yield f"    {step.state}"
    else:
        yield "  no checkpoint was written after it"
    yield from story.wrapped("computed on", shown.environment)
    yield from story.wrapped("settings", shown.settings)


def _evidence(folder: Path, turn: Turn) -> Iterator[str]:
    """What a pair's label rests on, in the order in which it came."""
    assert turn.sampled is not None
    yield story.told(turn.sampled, label=turn.label)
    for verdict in turn.verdicts:
        yield story.told(verdict)
    for vote in turn.votes.values():
        yield story.told(vote)
        yield f"  {lies(folder, vote)}"
    if turn.label:
        yield story.told(turn.label)
