"""What waiting for people costs: python -m tests.bench.people.

A run with 1,000 pairs that wait: the share of a core that waiting takes, and how long
it takes to take in 1,000 labels that are saved at once.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from onlinedpo.engine.observer import Silent
from onlinedpo.engine.people.desk import Desk
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.states.people.label_file import fill, identify
from onlinedpo.states.records import Completion, Escalated, Record, Sampled, Submitted
from tests.toys import prompts_file, toy_model

PAIRS = 1000
WAITED = 90.0
"""Seconds, in which all files are read again once."""


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wanted = {
            "model": str(toy_model(folder / "model")),
            "data": str(prompts_file(folder / "data", 50)),
            "judge": "human",
            "max_waiting": PAIRS,
            "val_prompts": 0,
        }
        run = open_run(RunFolder(folder / "run"), wanted, Silent())
        with run.journal:
            fill_with_waiting(run)
            assert run.desk
            with run.desk as desk:
                print(f"{PAIRS} pairs wait: {waiting_share(desk):.2%} of a core")
                print(f"{PAIRS} labels at once: {taking_in(run, desk):.2f} s")


def waiting_share(desk: Desk) -> float:
    """The share of a core that a run takes while nothing happens."""
    # Not what it takes to write the files, and to read them for the first time.
    desk.take_in()
    while desk.unsettled:
        desk.wait(0.5)
        desk.take_in()
    end, spent = time.monotonic() + WAITED, time.process_time()
    while time.monotonic() < end:
        desk.take_in()
        desk.wait(0.5)
    return (time.process_time() - spent) / WAITED


def taking_in(run: Run, desk: Desk) -> float:
    """Seconds from the last save until all labels are synced and moved."""
    for path in sorted(desk.todo.glob("*.md")):
        text = path.read_text()
        found = identify(text)
        assert found
        path.write_text(fill(text, found[0], choice="1"))
    began = time.perf_counter()
    while run.ledger.waiting():
        desk.take_in()
        desk.wait(0.5)
    assert len(run.ledger.labelled()) == PAIRS
    assert not [*desk.todo.glob("*.md")]
    return time.perf_counter() - began


def fill_with_waiting(run: Run) -> None:
    """Let 1,000 pairs wait."""
    batch: list[Record] = []
    for ticket in range(PAIRS):
        first, second = (
            Completion(tokens=(ticket, k), text=f"Answer {k}. " * 30, finish="stop")
            for k in (1, 2)
        )
        batch += [
            Sampled(
                ticket=ticket,
                epoch=0,
                prompt=0,
                messages=({"role": "user", "content": "Why? " * 20},),
                prompt_tokens=(1, 2, 3),
                first=first,
                second=second,
                step=0,
                time=0.0,
            ),
            Submitted(tickets=(ticket,), time=0.0),
            Escalated(ticket=ticket, slots=1, why="people judge", time=0.0),
        ]
    run.journal.append(batch)


if __name__ == "__main__":
    main()
