"""A journal of a million events: python -m tests.bench.million [EVENTS].

It is that of a run: pairs are sampled, judged in both orders, dropped or trained on, in
batches of eight.  Printed are events per second and the memory of each reader.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any

from onlinedpo.journal import disk
from onlinedpo.journal.writer import Journal
from onlinedpo.states import labelling, measures, seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import (
    Completion,
    ProcessStarted,
    Record,
    RunOpened,
    Sampled,
    Shown,
    Step,
    Submitted,
    Verdict,
)
from onlinedpo.states.verdicts.framing import fenced
from onlinedpo.states.verdicts.parsing import letters

PROMPTS = 512
SETTINGS = Settings(model="toy", judge="toy", data="toy", batch_size=8, iters=10**6)
JUDGE: dict[str, Any] = {"kind": "model", "id": "toy", "weights": "0" * 64}
JUDGE |= {"frame": 1, "parser": 1}
READERS = {
    "read and folded": [
        "-c",
        "import sys, pathlib; from onlinedpo.journal.reader import Reader;"
        " Reader(pathlib.Path(sys.argv[1]) / 'journal').fold()",
    ],
    "replay --pair 1": ["-m", "onlinedpo.cli", "replay", "--pair", "1"],
    "audit": ["-m", "onlinedpo.cli", "audit"],
    "status": ["-m", "onlinedpo.cli", "status"],
}


def main() -> None:
    """Print the figures."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        events = make(run, wanted)
        size = sum(p.stat().st_size for p in (run / "journal").glob("*.odj"))
        print(f"{events:,} events in {size / 1e6:.0f} MB")
        for what, arguments in READERS.items():
            seconds, memory = measured([*arguments, str(run)])
            print(
                f"{what:<16} {seconds:6.2f} s  {events / seconds:>9,.0f} events/s"
                f"  {memory / 1e6:.0f} MB of memory at most"
            )


def measured(arguments: list[str]) -> tuple[float, float]:
    """(seconds, bytes of memory at most) of a Python process of these arguments."""
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(process, 0)
    assert status == 0, f"{arguments} ended with {os.waitstatus_to_exitcode(status)}"
    kilobytes = used.ru_maxrss / 1024 if sys.platform == "darwin" else used.ru_maxrss
    return time.perf_counter() - began, kilobytes * 1024


def make(run: Path, events: int) -> int:
    """Write the journal of a run with so many events; returns how many there are."""
    # Nothing here is to survive a power cut.
    disk.sync = lambda fd: None
    written = 0
    with Journal.create(run / "journal", bytes(16), by_table) as journal:
        for batch in frames(journal.ledger):
            journal.append(batch)
            written += len(batch)
            if written >= events:
                return written
    raise AssertionError("a run has no end")


def frames(ledger: Ledger) -> Any:
    """The frames of a run that never ends, as its ledger asks for them."""
    yield [opened(), started()]
    while True:
        if pairs := ledger.batch(SETTINGS.pairs_per_step):
            yield [step(ledger, pairs)]
        elif asked := ledger.to_judge():
            verdicts = [[verdict(p, shown) for shown in ORDERS] for p in asked]
            decided = [labelling.decide(two, 0.0) for two in verdicts]
            facts = labelling.doubt(decided, SETTINGS, ledger.asked)
            yield [*(v for two in verdicts for v in two), *facts]
        else:
            tickets = islice(count(ledger.next_ticket), SETTINGS.batch_size)
            fresh = [sampled(ticket, ledger.steps) for ticket in tickets]
            yield fresh
            yield [Submitted(tickets=tuple(p.ticket for p in fresh), time=0.0)]


ORDERS: tuple[Shown, Shown] = ("first-second", "second-first")


def opened() -> Record:
    """The run begins."""
    return RunOpened(
        run_id=bytes(16).hex(),
        time=0.0,
        version="0",
        settings=SETTINGS.as_dict(),
        model={"id": "toy"},
        judge={**JUDGE, "rubric": "?"},
        data={"train": PROMPTS},
        initial="",
    )


def started() -> Record:
    """A process takes it up."""
    return ProcessStarted(time=0.0, version="0", environment={})


def sampled(ticket: int, step: int) -> Sampled:
    """A pair of the size that the demo's have."""
    epoch, place = divmod(ticket, PROMPTS)
    prompt = order(epoch)[place]
    text = f"Thank you for asking {ticket}! Please open the page. " * 3
    return Sampled(
        ticket=ticket,
        epoch=epoch,
        prompt=prompt,
        messages=({"role": "user", "content": f"Where is page {prompt}? " * 7},),
        prompt_tokens=tuple(range(30)),
        first=Completion(tokens=tuple(range(30)), text=text, finish="stop"),
        second=Completion(tokens=tuple(range(29)), text=text[1:], finish="stop"),
        step=step,
        time=0.0,
    )


@cache
def order(epoch: int) -> list[int]:
    """The prompts of an epoch."""
    return seeds.order(SETTINGS.seed, epoch, PROMPTS)


def verdict(pair: Sampled, shown: Shown) -> Verdict:
    """A judge that mostly means what it says, and one time in five does not."""
    first = seeds.derive(0, "first", pair.ticket) % 2 == 0
    swayed = seeds.derive(0, "swayed", pair.ticket) % 5 == 0
    says_a = swayed or first == (shown == "first-second")
    logprobs = (-0.2, -1.8) if says_a else (-1.8, -0.2)
    winner, failure = letters(logprobs, shown, "A" if says_a else "B")
    texts = [pair.first.text, pair.second.text]
    shown_texts = texts if shown == "first-second" else texts[::-1]
    return Verdict(
        ticket=pair.ticket,
        shown=shown,
        winner=winner,
        failure=failure,
        logprobs=logprobs,
        raw="A" if says_a else "B",
        judge=JUDGE,
        prompt="?\n" + fenced("~~~", pair.messages[0]["content"], *shown_texts),
        prompt_tokens=tuple(range(180)),
        attempt=1,
        seconds=0.01,
        time=0.0,
    )


def step(ledger: Ledger, pairs: list[LabelledPair]) -> Step:
    """A step whose figures fit its margins."""
    margins = [seeds.chance(0, "margin", p.sampled.ticket) - 0.3 for p in pairs]
    measured = measures.of_round(
        ledger.round, pairs, len(ledger.waiting()), ledger.steps
    )
    return Step(
        index=ledger.steps + 1,
        tickets=tuple(p.sampled.ticket for p in pairs),
        loss=sum(math.log1p(math.exp(-m)) for m in margins) / len(margins),
        grad_norm=1.0,
        metrics={
            **measured,
            "rewards/margins": sum(margins) / len(margins),
            "rewards/accuracies": sum(m > 0 for m in margins) / len(margins),
        },
        margins=tuple(margins),
        state="",
        seconds={"train": 0.1},
        time=0.0,
    )


if __name__ == "__main__":
    main()
