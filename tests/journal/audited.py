"""Real runs to be audited: a model judges, people do, or both."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from onlinedpo.engine.loop import train
from onlinedpo.engine.saving import publish
from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.people.choices import shown_as
from onlinedpo.states.records import Label, Side
from tests.engine.runs import Listener, opened
from tests.golden.runs import Moody
from tests.people.kit import Person, Stages, answer, in_a_hurry, nothing, on, said
from tests.people.runs import back, correct, drop, pairs, those, work
from tests.toys import prompts_file, toy_model


def parts(place: Path, **more: Any) -> dict[str, Any]:
    """Model, judge and data; the model judges with sense, but random sense."""
    model = str(toy_model(place / "model", opinionated=True))
    data = str(prompts_file(place / "data", 12, held_out=3))
    return {"model": model, "judge": model, "data": data} | more


def go_on(run: Path, watch: Listener | None = None, /, **wanted: Any) -> None:
    """Begin a run or go on with it, as the program does; its judge has moods."""
    with in_a_hurry(), opened(run, watch or Listener(), **wanted) as it:
        it.judge = Moody(it.judge) if it.judge else None
        with it.desk or nullcontext():
            publish(it)
            train(it)


def judged(place: Path) -> Path:
    """Two processes, four steps, two epochs and win rates; nobody was asked."""
    run = place / "run"
    settings = parts(place, iters=4, val_prompts=3, steps_per_eval=2, save_every=2)
    go_on(run, Listener(stop_after=2), **settings)
    go_on(run)
    return run


def answered(place: Path) -> Path:
    """People judge: label files, dropped files, late corrections, and a rewind."""
    run = place / "run"
    settings = parts(place, judge="human", iters=3, overlap=0.4, resolve="adjudicate")
    with in_a_hurry():
        settings |= {"late_labels": "requeue", "max_waiting": 9}
        work(run, Person(on({1: "tie"}), stop_after=1, note="good"), **settings)
        correct(run, 0)
        # A pair that was trained on is corrected, and what waits is answered in CSV.
        work(run, Stages(in_csv, in_json_lines, answer_all), iters=4)
        work(run, Person(annotator="ann"))
        correct(run, max(trained(run)))
        back(run, 2)
        work(run, Person(nothing), iters=5, resolve="first")
    return run


def trained(run: Path) -> list[int]:
    """The pairs that have a label file in done/."""
    return [int(path.name[:6]) for path in (run / "labels" / "done").glob("0*.md")]


def in_csv(labels: Path) -> None:
    """Answer one file through another program."""
    path = sorted((labels / "todo").glob("*.md"))[0]
    rows = [("id", "choice", "annotator"), (path.stem, said(path), "bob")]
    with (labels / "inbox" / "bob.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def in_json_lines(labels: Path) -> None:
    """The same in our own shape, with a note, and a line that is none."""
    path = sorted((labels / "todo").glob("*.md"))[0]
    row = {"id": path.stem, "choice": said(path), "annotator": "eva", "note": "hm"}
    text = json.dumps(row) + "\nno answer\n"
    (labels / "inbox" / "eva.jsonl").write_text(text)


def answer_all(labels: Path) -> None:
    """Answer what is left, with a slip that is corrected before it counts."""
    for path in sorted((labels / "todo").glob("*.md")):
        answer(path, said(path), annotator="ann")


def mixed(place: Path) -> Path:
    """A judge that asks people where it is unsure, and a late line on its own label."""
    run = place / "run"
    settings = parts(place, iters=2, escalate_below=0.7, human_share=0.2)
    settings |= {"late_labels": "requeue", "label_budget": 6, "max_staleness": 1}
    go_on(run, Person(nothing, stop_after=1), **settings)
    label = next(label for label in those(run, Label) if label.source == "judge")
    pair = pairs(run)[label.ticket]
    other: Side = "second" if label.chosen == "first" else "first"
    choice = shown_as(other, sides(0, Ask(pair.pair)))
    row = {"id": pair.pair, "choice": str(choice), "annotator": "bob"}
    drop(run / "labels", "late.jsonl", row)
    go_on(run, Person(), iters=5, when_stale="requeue")
    return run
