"""What durability costs, as ratios within one run: python -m tests.bench.durability.

The same toy run takes 40 more steps with 100 and with 20,000 pairs in its journal.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path

from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.states.records import (
    Completion,
    Dropped,
    Reason,
    Record,
    Sampled,
    Step,
    Submitted,
    Verdict,
)
from tests.toys import prompts_file, toy_model

STEPS = 40
SIZES = (100, 20_000)


class Stopwatch(Silent):
    """Notes when each step was committed."""

    def __init__(self) -> None:
        """No step yet."""
        self.times: list[float] = []

    def stepped(self, step: Step, ledger: object) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = toy_model(folder / "model", opinionated=True)
        data = prompts_file(folder / "data", 50)
        wanted = {
            "model": str(model),
            "judge": str(model),
            "data": str(data),
            "judge_orders": 1,
            "max_completion_length": 8,
            "learning_rate": 1e-5,
            "val_prompts": 0,
        }
        medians = {size: measure(folder / str(size), wanted, size) for size in SIZES}
    small, large = (medians[size] for size in SIZES)
    print(f"cost of a step, {SIZES[1]:,} pairs to {SIZES[0]}: {large / small:.2f}")


def measure(path: Path, wanted: dict[str, object], pairs: int) -> float:
    """Median seconds of a step with so many pairs in the journal."""
    run = open_run(RunFolder(path), {**wanted, "iters": 1}, Silent())
    with run.journal:
        train(run)
        fill(run, pairs)
    watch, began = Stopwatch(), time.perf_counter()
    run = open_run(RunFolder(path), {"iters": 1 + STEPS}, watch)
    opened = time.perf_counter() - began
    with run.journal:
        train(run)
    spans = [b - a for a, b in zip(watch.times, watch.times[1:], strict=False)]
    size = sum(p.stat().st_size for p in (path / "journal").glob("*.odj")) / 1e6
    began = time.perf_counter()
    command = [sys.executable, "-m", "onlinedpo.cli", "status", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    print(
        f"{pairs:>6} pairs: {size:.1f} MB of journal, step"
        f" {statistics.median(spans) * 1e3:.1f} ms, opened in {opened:.2f} s, status in"
        f" {time.perf_counter() - began:.2f} s"
    )
    return statistics.median(spans)


def fill(run: Run, pairs: int) -> None:
    """Put prompts that ended in a tie into the journal, as a judge's run would."""
    tickets = count(run.ledger.next_ticket)
    while run.ledger.next_ticket < pairs:
        batch = [tie(ticket) for ticket in islice(tickets, 100)]
        run.journal.append([record for records in batch for record in records])


def tie(ticket: int) -> list[Record]:
    """The records of one prompt, of the size that the demo's have."""
    tokens, text = tuple(range(30)), "Thank you for asking! Please open the page. " * 3
    completion = Completion(tokens=tokens, text=text, finish="stop")
    verdict = {
        "ticket": ticket,
        "failure": "",
        "logprobs": (-0.7, -0.7),
        "raw": "A",
        "judge": {"kind": "model", "id": "toy", "weights": "0" * 64},
        "prompt": text * 5,
        "prompt_tokens": tuple(range(180)),
        "attempt": 1,
        "seconds": 0.01,
        "time": 0.0,
    }
    return [
        Sampled(
            ticket=ticket,
            epoch=0,
            prompt=0,
            messages=({"role": "user", "content": text},),
            prompt_tokens=tokens,
            first=completion,
            second=Completion(tokens=tokens[1:], text=text, finish="stop"),
            step=0,
            time=0.0,
        ),
        Submitted(tickets=(ticket,), time=0.0),
        Verdict(shown="first-second", winner="tie", **verdict),  # type: ignore[arg-type]
        Verdict(shown="second-first", winner="tie", **verdict),  # type: ignore[arg-type]
        Dropped(ticket=ticket, reason=Reason.TIE, detail="", time=0.0),
    ]


if __name__ == "__main__":
    main()
