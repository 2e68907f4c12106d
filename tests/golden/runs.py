"""Small runs whose journals hold every kind of record: real ones, on toy models."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.engine.judges.comparison import Comparison, Judge
from onlinedpo.engine.loop import train
from onlinedpo.journal.reader import path_of, segments
from onlinedpo.states.answers import Ask
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Step, Verdict
from onlinedpo.states.verdicts.parsing import letters
from tests.engine.kit import LORA
from tests.engine.runs import Listener, opened, steps
from tests.people.kit import Stages, answer, greater, in_a_hurry, read
from tests.people.runs import back, drop, pairs
from tests.toys import prompts_file, toy_model

SHORT: dict[str, Any] = {
    "model": "model",
    "data": "data",
    "judge_system": "Be brief.",
    "batch_size": 3,
    "save_every": 2,
    "val_prompts": 2,
    "max_completion_length": 6,
    "max_seq_length": 400,
    "lora_parameters": LORA,
    "steps_per_eval": 9,
}
"""Settings of all: names relative to the folder in which the runs are made."""


def toys() -> None:
    """Model and prompts, in the working directory; one prompt is too long."""
    toy_model(Path("model"), opinionated=True)
    prompts_file(Path("data"), 8, held_out=2)
    with Path("data/train.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "Why? " * 100}) + "\n")


def go_on(run: Path, watch: Listener | None = None, /, **wanted: Any) -> None:
    """Begin a run or go on with it; its judge has moods."""
    with in_a_hurry(), opened(run, watch or Listener(), **wanted) as open_run:
        if open_run.judge:
            open_run.judge = Moody(open_run.judge)
        with open_run.desk or nullcontext():
            train(open_run)


@dataclass
class Moody:
    """A model judge that sees a tie in some pairs, and has no answer to others.

    So a toy has verdicts of every kind, each read from its letters by the parser.
    """

    judged_by: Judge

    @property
    def identity(self) -> dict[str, Any]:
        """The model's own."""
        return self.judged_by.identity

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The model's verdicts, but for some moods."""
        found = self.judged_by.judge(comparisons)
        return [[_in_mood(verdict) for verdict in verdicts] for verdicts in found]


def _in_mood(verdict: Verdict) -> Verdict:
    """Of seven pairs one is a tie, one fails, and two are sure in both orders."""
    if verdict.judge["kind"] != "model":
        return verdict
    mood, raw = verdict.ticket % 7, verdict.raw
    logprobs: tuple[float, ...]
    likely, rest = math.log(0.9), math.log(0.05)
    a_first = verdict.shown == "first-second"
    if mood == 5:
        logprobs, raw = (math.log(0.4), math.log(0.4)), "A"
    elif mood == 6:
        logprobs, raw = (math.log(0.001), math.log(0.002)), "?"
    elif mood < 3:
        logprobs, raw = ((likely, rest), "A") if a_first else ((rest, likely), "B")
    else:
        logprobs = verdict.logprobs
    winner, failure = letters(logprobs, verdict.shown, raw)
    return replace(verdict, logprobs=logprobs, raw=raw, winner=winner, failure=failure)


# -- the runs ----------------------------------------------------------------------


def judged(run: Path) -> None:
    """A model judges: drops of every kind, win rates; two processes, made longer."""
    settings = {**SHORT, "judge": "model", "steps_per_eval": 2, "iters": 3}
    go_on(run, Listener(stop_after=2), **settings)
    go_on(run, iters=4)


def people(run: Path) -> None:
    """People judge: files, a dropped one, changed minds, late answers, a rewind."""
    settings = {"judge": "human", "overlap": 0.5, "resolve": "adjudicate", "iters": 3}
    more = {"late_labels": "requeue", "max_waiting": 3}
    crowd = Stages(_first_answers, _second_thoughts, _everybody, _everybody)
    go_on(run, crowd, **SHORT, **settings, **more)
    drop(run / "labels", "answers.jsonl", *_rows(run))
    go_on(run, Stages(_everybody, _everybody))
    _correct(run)
    go_on(run, Everybody(), iters=4)
    back(run, 2)
    go_on(run, Everybody())


def hybrid(run: Path) -> None:
    """A model judges and asks people where it is in doubt; some wait too long."""
    settings = {"judge": "model", "escalate_below": 0.6, "human_share": 0.2, "iters": 3}
    stale = {"max_staleness": 1, "when_stale": "requeue"}
    go_on(run, Passing(run / "labels"), **SHORT, **settings, **stale)


def killed(run: Path) -> None:
    """A power cut tears the last frame; the next process cuts it off."""
    settings = {**SHORT, "judge": "model", "judge_orders": 1, "val_prompts": 0}
    go_on(run, Listener(stop_after=1), **settings, iters=2)
    last = path_of(run / "journal", len(segments(run / "journal")))
    last.write_bytes(last.read_bytes()[:-7])
    go_on(run)


def drawn(run: Path) -> None:
    """Of three completions the best and the worst; what was cut loses by it; cDPO."""
    several = {
        "num_generations": 3,
        "judge_orders": 1,
        "missing_eos_penalty": 0.5,
        "judge": "model",
    }
    losses = {"label_smoothing": 0.1, "len_reg_alpha": 0.01, "truncated": "drop-both"}
    go_on(run, **SHORT, **several, **losses, iters=1)


def rounds(run: Path) -> None:
    """Two rounds of two steps each, with ties that are trained on, and beta falling."""
    beta = {"name": "linear_schedule", "arguments": [0.2, 0.1, 4]}
    wanted = {"pairs_per_round": 6, "ties": "rao-kupper", "beta_schedule": beta}
    go_on(run, Listener(stop_after=1), **SHORT, **wanted, judge="model", iters=4)
    go_on(run)


def offline(run: Path) -> None:
    """Pairs of a file, without a judge."""
    rows = [
        {"prompt": f"Say {n}.", "chosen": f"{n}.", "rejected": f"No {n}."}
        for n in range(7)
    ]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = {**SHORT, "val_prompts": 0, "offline_pairs": "pairs.jsonl", "iters": 2}
    go_on(run, **wanted, dpo_cpo_loss_type="simpo", beta=2.0)


def panel(run: Path) -> None:
    """A model, and two functions of a user's own: the majority decides."""
    Path("golden_taste.py").write_text(TASTE)
    own = ["python:golden_taste:shorter", "python:golden_taste:reward"]
    go_on(run, **{**SHORT, "val_prompts": 0}, judge="model", judge_panel=own, iters=2)


TASTE = """
def shorter(prompts, completions):
    return [0 if len(a) <= len(b) else 1 for a, b in completions]


def reward(prompts, completions, **kwargs):
    return [float(text.count("a")) for text in completions]
"""
"""Judges of a user's own."""


def forked(run: Path, new: Path) -> None:
    """A run that begins as another one did."""
    _command("fork", run, new, "--at", "1", "--learning-rate", "0.001")
    go_on(new)


def rejudged(run: Path, into: Path) -> None:
    """Another rubric's verdicts on a run's pairs."""
    Path("rubric.txt").write_text("Be long.")
    wanted = ("--sample", "4", "--rubric", "rubric.txt")
    _command("rejudge", run, *wanted, "--into", into)


def salvaged(run: Path, new: Path) -> None:
    """What stands before damage in the middle of a run."""
    path = path_of(run / "journal", 1)
    whole = path.read_bytes()
    at = len(whole) * 2 // 3
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    _command("journal", "salvage", run, new)
    path.write_bytes(whole)


def _command(*arguments: str | Path) -> None:
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    if done.exception:
        raise done.exception


# -- people ------------------------------------------------------------------------

WHO = {1: "ann", 2: "bob", 3: "eva"}


def _first_answers(labels: Path) -> None:
    """Two pairs are answered; of a third it is not clear what is meant."""
    first, second, *_, last = _files(labels)
    for path in (first, second):
        answer(path, greater(read(path)), annotator="ann", note="to the point")
    answer(last, "perhaps", annotator="ann")


def _second_thoughts(labels: Path) -> None:
    """One answer is taken back."""
    path = min((labels / "done").glob("*.md"))
    answer(path, "undo", annotator="ann")


def _everybody(labels: Path) -> None:
    """Whatever waits is answered; where two are asked, they differ."""
    for path in _files(labels):
        ask = read(path).ask
        word = "tie" if ask.ticket % 4 == 3 else greater(read(path))
        if ask.slot == 2:
            word = {"1": "strongly 2", "2": "1"}.get(word, "both bad")
        answer(path, word, annotator=WHO[ask.slot])


class Passing(Listener):
    """Comes by after each step and answers what waits, but for some pairs."""

    def __init__(self, labels: Path) -> None:
        super().__init__()
        self.labels = labels

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Answer, and leave."""
        for path in _files(self.labels):
            if (case := read(path)).ticket % 7 != 6:
                answer(path, greater(case), annotator="ann")


class Everybody(Listener):
    """Answers whatever waits, whenever the run waits."""

    def waiting(self, files: int, folder: Path) -> None:
        """Answer all of it."""
        _everybody(folder.parent)


def _files(labels: Path) -> list[Path]:
    return sorted((labels / "todo").glob("*.md"))


def _correct(run: Path) -> None:
    """An answer to a pair that was trained on is turned round."""
    trained, other = steps(run)[0].tickets, {"1": "2", "2": "1"}
    for path in sorted((run / "labels" / "done").glob("*.md")):
        ask = Ask.parse(path.stem)
        if ask and ask.ticket in trained:
            choice = label_file.read(path.read_text(), ask).choice
            if choice and choice.word in other:
                answer(path, other[choice.word])
                return


def _rows(run: Path) -> list[dict[str, Any]]:
    """Answers to what waits, as another program exports them; one line is no good."""
    asks = [Ask.parse(path.stem) for path in _files(run / "labels")]
    rows = [
        {"id": str(ask), "choice": "1", "annotator": "zoe", "note": "ü", "seconds": 4.5}
        for ask in asks
        if ask
    ]
    first = next(iter(pairs(run).values())).pair
    return [*rows, {"id": first, "choice": "maybe"}]


def all_runs() -> dict[str, Path]:
    """Make them all in the working directory; returns their folders by name."""
    toys()
    made = (judged, people, hybrid, killed, drawn, rounds, offline, panel)
    names = (*(make.__name__ for make in made), "forked", "rejudged", "salvaged")
    at = {name: Path(name) for name in names}
    for make in made:
        make(at[make.__name__])
    forked(at["killed"], at["forked"])
    rejudged(at["hybrid"], at["rejudged"])
    salvaged(at["judged"], at["salvaged"])
    return at


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Let names be relative to a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
