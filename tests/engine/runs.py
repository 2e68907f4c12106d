"""Judges that follow a script, and runs on toys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from onlinedpo.engine.checkpoint import state_of
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.journal.reader import Reader
from onlinedpo.states import seeds
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record, Sampled, Shown, Step, Verdict
from tests.engine.kit import LORA

Winner = Literal["first", "second", "tie"] | None

# -- judges ----------------------------------------------------------------------


@dataclass
class Scripted:
    """A judge whose winner, in pair coordinates, is a function of what it is shown."""

    winner: Callable[[Comparison, Shown], Winner]
    orders: tuple[Shown, ...] = ("first-second", "second-first")
    asked: list[Comparison] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        """What the journal says of it."""
        return {"kind": "scripted"}

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts of the script."""
        self.asked += comparisons
        return [[self._verdict(c, shown) for shown in self.orders] for c in comparisons]

    def _verdict(self, comparison: Comparison, shown: Shown) -> Verdict:
        winner = self.winner(comparison, shown)
        return Verdict(
            ticket=comparison.ticket,
            shown=shown,
            winner=winner,
            failure="" if winner else "no answer came",
            logprobs=(-0.1, -2.4),
            raw="",
            judge=self.identity,
            prompt="",
            prompt_tokens=(),
            attempt=1,
            seconds=0.0,
            time=0.0,
        )


def prefers_first(comparison: Comparison, shown: Shown) -> Winner:
    """Whatever is asked, the pair's first completion is better."""
    return "first"


def by_text(comparison: Comparison, shown: Shown) -> Winner:
    """A taste that depends on the two texts alone."""
    return "first" if comparison.first > comparison.second else "second"


def always_a(comparison: Comparison, shown: Shown) -> Winner:
    """Position-biased: what is shown first is better."""
    return "first" if shown == "first-second" else "second"


def unreliable(comparison: Comparison, shown: Shown) -> Winner:
    """Fails in three of ten questions, ties in one, and is consistent in the rest."""
    luck = seeds.derive(0, comparison.ticket, comparison.first, shown) % 10
    return None if luck < 3 else "tie" if luck < 4 else by_text(comparison, shown)


# -- runs ------------------------------------------------------------------------


class Listener(Silent):
    """Keeps what a run tells, and can stop it after some steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.lines: list[str] = []
        self.steps: list[Step] = []
        self.stop_after = stop_after

    def said(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Keep the step."""
        self.steps.append(step)

    def asked_to_stop(self) -> bool:
        """Whether enough steps were taken."""
        return self.stop_after is not None and len(self.steps) >= self.stop_after

    def told(self, words: str) -> bool:
        """Whether a line with these words was said."""
        return any(words in line for line in self.lines)


SMALL: dict[str, Any] = {
    "iters": 3,
    "batch_size": 3,
    "lora_parameters": LORA,
    "learning_rate": 1e-2,
    "max_completion_length": 6,
    "temperature": 1.0,
    "val_prompts": 0,
    "save_every": 1,
}


@contextmanager
def opened(
    folder: Path, watch: Listener | None = None, /, **wanted: Any
) -> Iterator[Run]:
    """A run in `folder`, open as long as the block lasts; small unless told else."""
    begun = (folder / "config.yaml").exists()
    settings = wanted if begun else {**SMALL, **wanted}
    run = open_run(RunFolder(folder), settings, watch or Listener())
    with run.journal:
        yield run


def trained(folder: Path, script: Scripted, /, **wanted: Any) -> str:
    """Train a run to its end with a scripted judge; digest of its state."""
    with opened(folder, **wanted) as run:
        run.judge = script
        train(run)
        return state(run)


def go_on(folder: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Open a run and train until it ends or is stopped; digest of its state."""
    with opened(folder, watch, **wanted) as run:
        run.judge = Scripted(by_text)
        train(run)
        return state(run)


def records(folder: Path) -> list[Record]:
    """All that a run's journal holds."""
    return list(Reader(folder / "journal").records())


def state(run: Run) -> str:
    """Digest of a run's adapter and optimizer."""
    return state_of(run.policy.trainable(), run.learner.state())


def steps(folder: Path) -> list[Step]:
    """The steps in a run's journal."""
    return [record for record in records(folder) if isinstance(record, Step)]


def sampled(folder: Path) -> list[Sampled]:
    """The pairs in a run's journal."""
    return [record for record in records(folder) if isinstance(record, Sampled)]


def tokens(folder: Path) -> list[Any]:
    """All that was sampled, in order."""
    return [(p.epoch, p.prompt, p.first, p.second, p.step) for p in sampled(folder)]


def outcome(folder: Path) -> list[Any]:
    """What the steps of a run came to."""
    return [(s.index, s.tickets, s.loss, s.margins, s.grad_norm) for s in steps(folder)]
