"""What freshness is worth on the demo task: python -m tests.bench.learning.

With three seeds 30 runs of the demo, about 45 minutes alone on two cores.  What
has ended is not done again, and what was interrupted goes on.
What it shows is told in tests/bench/README.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.bench.learning.cells import PARTS, STEPS, cells
from tests.bench.learning.plots import plot
from tests.bench.learning.results import rows, write
from tests.bench.learning.running import finished, train_cell

SECONDS = 90
"""What a run of 60 steps takes, alone on two cores."""


def main() -> None:
    """Train what is not there yet, then write rows, tables and plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--out", type=Path, default=Path("learning"), help="folder")
    parser.add_argument("--iters", type=int, default=STEPS, help="steps of each run")
    parser.add_argument("--part", choices=PARTS, help="only this part")
    parser.add_argument("--report", action="store_true", help="train nothing")
    asked = parser.parse_args()
    parts = [asked.part] if asked.part else PARTS
    todo = [c for part in parts for c in cells(part, asked.seeds, asked.iters)]
    missing = [] if asked.report else [c for c in todo if not finished(asked.out, c)]
    minutes = len(missing) * SECONDS * asked.iters / STEPS / 60
    print(
        f"{len(todo)} runs, {len(missing)} to do: about {minutes:.0f} min", flush=True
    )
    for number, cell in enumerate(missing, start=1):
        began = time.monotonic()
        train_cell(asked.out, cell)
        spent = time.monotonic() - began
        print(
            f"{number}/{len(missing)} {cell.name}, seed {cell.seed}: {spent:.0f} s",
            flush=True,
        )
    report(asked.out, asked.seeds, asked.iters)


def report(out: Path, seeds: int, iters: int) -> None:
    """Of all that has ended, whichever part was asked for."""
    ended = [
        cell
        for part in PARTS
        for cell in cells(part, seeds, iters)
        if finished(out, cell)
    ]
    found = [row for cell in ended for row in rows(out, cell)]
    if not found:
        print("nothing has ended yet")
        return
    write(out, found)
    print((out / "results.md").read_text())
    try:
        print("plots:", *plot(out, found))
    except ImportError:
        print('for the plots: pip install "onlinedpo[bench]", and --report')


if __name__ == "__main__":
    main()
