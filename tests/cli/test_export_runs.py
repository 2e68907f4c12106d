"""What `onlinedpo export` gives of real runs: of people, hybrid, rewound, killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.cli.main import cli
from onlinedpo.states.records import Completion, Sampled
from tests.engine.runs import Scripted, prefers_first
from tests.people.kit import Doubtful, Parts, Person, in_a_hurry, nothing, on, taste
from tests.people.runs import back, correct, pairs, standing, trained_on, work
from tests.processes import killed, onlinedpo
from tests.toys import EOS, prompts_file, toy_model

Row = dict[str, Any]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Model and data; as long as they are in use, nothing is waited for."""
    folder = tmp_path_factory.mktemp("toy")
    model, data = toy_model(folder / "model"), prompts_file(folder / "data")
    with in_a_hurry():
        yield {"model": str(model), "data": str(data)}


def exported(run: Path, *arguments: str) -> tuple[dict[int, Row], dict[int, Row]]:
    """The labelled rows of a run and the undecided ones, by the pairs' tickets."""
    path = run / "pairs.jsonl"
    cli(["export", str(run), "-o", str(path), *arguments], standalone_mode=False)
    found = []
    for file in (path, path.with_name("pairs.undecided.jsonl")):
        lines = file.read_text().splitlines() if file.exists() else []
        rows = map(json.loads, lines)
        found.append({int(row["odpo_pair"].split("-")[0]): row for row in rows})
        file.unlink(missing_ok=True)
    return found[0], found[1]


def side(row: Row, pair: Sampled) -> str:
    """The side of a pair that a plain row has as chosen."""
    first, second = pair.first.text, pair.second.text
    better, worse = (first, second) if row["chosen"] == first else (second, first)
    assert (row["chosen"], row["rejected"]) == (better, worse)
    return "first" if better == first else "second"


def test_what_people_decided_is_there_and_what_they_did_not_beside_it(
    parts: Parts, tmp_path: Path
) -> None:
    """Nine answers: a tie, a skip, both bad, and six pairs that were trained on."""
    odd = on({1: "tie", 3: "skip", 4: "both bad"})
    work(tmp_path, Person(odd, annotator="ann"), **parts, judge="human", iters=2)
    labelled, undecided = exported(tmp_path, "--style", "plain")

    sampled, steps = pairs(tmp_path), standing(tmp_path)
    assert {n: row["reason"] for n, row in undecided.items()} == {
        1: "tie",
        3: "skipped",
        4: "both bad",
    }
    assert {**labelled, **undecided}.keys() <= sampled.keys()
    assert {row["odpo_annotators"] for row in labelled.values()} == {"ann"}
    for index, tickets, _, _, margins in steps:
        for ticket, margin in zip(tickets, margins, strict=True):
            row = labelled.pop(ticket)
            assert (row["odpo_step"], row["odpo_margin"]) == (index, margin)
            assert side(row, sampled[ticket]) == taste(sampled[ticket])
            assert row["odpo_judge_probability"] is None
    assert all(row["odpo_step"] is None for row in labelled.values())


def test_texts_are_what_was_written_without_the_end_of_turn(
    parts: Parts, tmp_path: Path
) -> None:
    """The token that ends a turn is among the tokens, not in the text."""
    model = toy_model(tmp_path / "model", eos=(EOS, *range(20, 200)))
    run = tmp_path / "run"
    wanted = {**parts, "model": str(model), "iters": 2}
    work(run, None, Scripted(prefers_first), **wanted)
    labelled, _ = exported(run, "--style", "plain")

    def words(completion: Completion) -> int:
        return len(completion.tokens) - (completion.finish == "stop")

    stopped = 0
    for ticket, row in labelled.items():
        pair = pairs(run)[ticket]
        assert row["odpo_truncated"] is pair.truncated
        stopped += pair.first.finish == "stop"
        # One byte is one token here, and a stray one reads as one character.
        assert len(row["chosen"]) <= words(pair.first)
        assert "<|im_end|>" not in row["chosen"] + row["rejected"]
    assert stopped > 0


def test_in_a_hybrid_run_each_label_says_whose_it_is(
    parts: Parts, tmp_path: Path
) -> None:
    """The judge's probability is of the chosen one, also where a person overruled."""
    script = Doubtful(prefers_first, sureness=lambda c: 0.9 if c.ticket % 3 else 0.6)
    person = Person(annotator="bea")
    settings = {**parts, "escalate_below": 0.7, "max_waiting": 1, "iters": 2}
    work(tmp_path, person, script, **settings)
    labelled, _ = exported(tmp_path, "--style", "plain")

    people = {n for n, row in labelled.items() if row["odpo_source"] == "human"}
    assert people and people < labelled.keys()
    for ticket, row in labelled.items():
        first = side(row, pairs(tmp_path)[ticket]) == "first"
        sure = 0.6 if ticket % 3 == 0 else 0.9
        expected = sure if first else 1 - sure
        assert row["odpo_judge_probability"] == pytest.approx(expected)
        assert row["odpo_annotators"] == ("bea" if ticket in people else "")
        assert (ticket in people) == (ticket % 3 == 0)


def test_a_corrected_pair_is_there_once_with_its_correction(
    parts: Parts, tmp_path: Path
) -> None:
    """Trained on at step 1, corrected, and trained on again at step 2."""
    settings = {**parts, "judge": "human", "late_labels": "requeue"}
    work(tmp_path, Person(stop_after=1), **settings)
    correct(tmp_path, 1)
    work(tmp_path)
    labelled, undecided = exported(tmp_path, "--style", "plain")

    sampled = pairs(tmp_path)
    (again,) = (n for n, pair in sampled.items() if pair.repeats == 1)
    assert 1 not in labelled and undecided == {}
    assert side(labelled[again], sampled[again]) == trained_on(tmp_path)[1][again]
    assert labelled[again]["odpo_step"] == 2
    assert len(labelled) == len(sampled) - 1


def test_a_rewound_run_has_the_labels_that_hold_now(
    parts: Parts, tmp_path: Path
) -> None:
    """Before its steps are taken again, and after they were, with a correction."""
    work(tmp_path, Person(), **parts, judge="human")
    before, _ = exported(tmp_path, "--style", "plain")
    correct(tmp_path, 4)
    back(tmp_path, 1)
    rewound, _ = exported(tmp_path, "--style", "plain")
    work(tmp_path, Person(nothing))
    after, _ = exported(tmp_path, "--style", "plain")

    assert [row["odpo_step"] for row in rewound.values()] == [1] * 3 + [None] * 6
    assert before[4]["chosen"] == rewound[4]["chosen"] == after[4]["rejected"]
    assert rewound.keys() == before.keys()
    told = {index: margins for index, _, _, _, margins in standing(tmp_path)}
    for step in (1, 2, 3):
        rows = [row for row in after.values() if row["odpo_step"] == step]
        assert tuple(row["odpo_margin"] for row in rows) == told[step]


def test_a_killed_run_gives_what_it_had(parts: Parts, tmp_path: Path) -> None:
    """The pairs of the step that was not committed are labelled, not trained on."""
    model = toy_model(tmp_path / "model", opinionated=True)
    run = tmp_path / "run"
    died = onlinedpo(
        *("run", run, "--model", model, "--judge", model, "--data", parts["data"]),
        *("--judge-orders", "1", "--iters", "3", "--batch-size", "2"),
        *("--max-completion-length", "6", "--val-prompts", "0", "--save-every", "1"),
        crash="folder.sync@3",
    )
    assert killed(died), died.output
    labelled, _ = exported(run)

    steps = [row["odpo_step"] for row in labelled.values()]
    taken = [index for index, *_ in standing(run)]
    assert {step for step in steps if step} == {*taken}
    assert steps.count(None) == 2
