"""What is compared: a cell is one arrangement with one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.cli.demo import settings as demo

BATCH = 8
STEPS = 60
ROUNDS = (2, 5, 10)
"""Steps that are taken on the pairs of one policy."""
DELAYS = (0, 1, 2, 10, 64)
"""Steps that lie between the drawing of a pair and its label."""
TITLES = {
    "rounds": "Pairs that are fresh, of rounds, or of a file",
    "delays": "Labels that come some steps late",
}
PARTS = (*TITLES,)
EVERY = 10
"""Steps between two win rates."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arrangement with one seed.  `steps` is the length of its rounds."""

    part: str
    name: str
    seed: int
    iters: int
    steps: int = 1
    delay: int | None = None
    offline: bool = False

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        name = self.name.replace(" ", "-")
        return f"{self.part}-{name}-{self.iters}-seed-{self.seed}"

    def settings(self, pairs: Path) -> dict[str, Any]:
        """The demo's settings, and what this arrangement changes in them.

        The judge is asked in one order, drawn by lot: so every pair gets a label, and
        every arrangement takes steps of equally many pairs.
        """
        wanted: dict[str, Any] = {
            **demo(),
            "seed": self.seed,
            "iters": self.iters,
            "judge_orders": 1,
            "batch_size": BATCH,
            "steps_per_eval": min(EVERY, self.iters),
        }
        if self.steps > 1:
            wanted["pairs_per_round"] = self.steps * BATCH
        if self.delay is not None:
            wanted |= {"judge": "file", "max_waiting": (self.delay + 1) * BATCH}
        if self.offline:
            wanted["offline_pairs"] = str(pairs)
        return wanted


def source_of_pairs(seed: int, iters: int) -> Cell:
    """The run whose pairs, all drawn from the initial policy, the offline cell has."""
    return Cell("pairs", "source", seed, iters, steps=iters)


def cells(part: str, seeds: int, iters: int) -> Iterator[Cell]:
    """The cells of a part, seed by seed: what is there early compares already."""
    for seed in range(seeds):
        if part == "rounds":
            yield Cell(part, "online", seed, iters)
            for steps in ROUNDS:
                if steps < iters:
                    yield Cell(part, f"rounds of {steps}", seed, iters, steps=steps)
            yield Cell(part, "offline", seed, iters, offline=True)
        else:
            for delay in DELAYS:
                yield Cell(part, f"delay {delay}", seed, iters, delay=delay)
