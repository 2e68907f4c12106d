"""`trace`: why the model learned something, in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Rewound, Step, Verdict, Vote
from onlinedpo.states.visible import visible
from tests.cli.histories import asked, judged_run, rewound_run
from tests.people.runs import back, done_file, pairs, those, trained_on


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a model as judge."""
    return judged_run(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with people that was rewound."""
    return rewound_run(tmp_path_factory.mktemp("history"))


def facts(*arguments: str | Path) -> Any:
    """What --json has."""
    return json.loads(asked("trace", *arguments, "--json"))


def block(told: str, head: str) -> str:
    """The part of an output that begins with a line, down to the next pair."""
    return told.split(f"\n{head}")[1].split("\n\n")[0]


def test_a_step_is_led_back_to_the_exact_questions(judged: Path) -> None:
    """Its pairs in order, the sides, margins, and every verdict word for word."""
    told = asked("trace", judged, "--step", "2")
    step, sides = those(judged, Step)[1], trained_on(judged)[1]

    assert told.startswith(f"step 2 of {judged}, taken ")
    assert f"2 pairs, loss {step.loss:.6f}, gradient norm {step.grad_norm:.6f}" in told
    assert f"    {step.state}\n" in told
    assert "sampled by the policy after step 1\n" in told
    unwrapped = " ".join(told.split())
    assert "dpo_cpo_loss_type sigmoid" in unwrapped and "judge_orders 1" in unwrapped
    for place, ticket in enumerate(step.tickets):
        part = block(told, f"pair {place + 1} of 2: {pairs(judged)[ticket].pair}")
        assert part.startswith(f", chosen {sides[ticket]}, rejected ")
        assert f"margin {step.margins[place]:+.5f}" in part.splitlines()[0]
        assert f"  {sides[ticket]}, chosen:" in part
        (verdict,) = [v for v in those(judged, Verdict) if v.ticket == ticket]
        question = [row[6:] for row in part.splitlines() if row.startswith("    | ")]
        assert "\n".join(question).strip().endswith(visible(verdict.prompt).strip())


def test_as_json_a_step_has_all_of_it(judged: Path) -> None:
    """The records as they are, in the order of the batch."""
    found = facts(judged, "--step", "1")
    step = those(judged, Step)[0]

    assert found["step"]["index"] == 1
    assert (found["undone"], found["earlier"]) == (None, [])
    assert found["settings"]["beta"] == 0.1
    assert "mlx" in found["environment"]
    assert [p["sampled"]["ticket"] for p in found["pairs"]] == [*step.tickets]
    first = found["pairs"][0]
    assert first["verdicts"][0]["prompt"] == those(judged, Verdict)[0].prompt
    assert {first["chosen"], first["rejected"]} == {"first", "second"}
    assert first["label"]["chosen"] == first["chosen"]


def test_a_step_that_was_taken_twice_shows_the_one_that_stands(history: Path) -> None:
    """And says that another was undone, and by what."""
    told = asked("trace", history, "--step", "1")
    again = trained_on(history)[3]

    assert "also taken" in told and "undone by a rewind to step 0" in told
    name = pairs(history)[1].pair
    assert f"{name}, chosen {again[1]}" in told
    assert again[1] != trained_on(history)[0][1]
    found = facts(history, "--step", "1")
    assert [e["undone"]["to"] for e in found["earlier"]] == [0]
    assert found["step"]["time"] == those(history, Step)[3].time


def test_the_files_that_people_saved_are_there_word_for_word(history: Path) -> None:
    """And where they lie now."""
    told = asked("trace", history, "--step", "1")
    vote = [v for v in those(history, Vote) if v.ticket == 1][-1]
    part = block(told, f"pair 2 of 3: {pairs(history)[1].pair}")
    rows = [row[6:] for row in part.splitlines() if row.startswith("    | ")]

    text = vote.raw.decode().splitlines()
    assert [row for row in text if row in rows and "choice" in row] == [
        row for row in text if "choice" in row
    ]
    assert f"labels/{vote.kept_as} is as it was saved" in part


def test_a_pair_leads_to_its_steps(history: Path) -> None:
    """Also to the undone one; by name or by number."""
    name = pairs(history)[1].pair
    told = asked("trace", history, "--pair", name)
    found = facts(history, "--pair", "1")["pairs"][0]

    assert told.startswith(f"pair {name}: applied in step 1, label ")
    assert told.count("  step 1, ") == 2
    assert [(s["step"], s["undone"] is None) for s in found["steps"]] == [
        (1, False),
        (1, True),
    ]
    assert len(found["late"]) == 1


def test_a_prompt_leads_to_its_pairs(judged: Path) -> None:
    """By its place in the data, with what it asked."""
    pair = pairs(judged)[2]
    told = asked("trace", judged, "--prompt", str(pair.prompt))

    assert f"  user: {pair.messages[0]['content']}\n" in told
    assert f"pair {pair.pair}: applied in step " in told


@pytest.mark.parametrize("form", ["whole", "of the run", "of labels", "name", "todo"])
def test_a_persons_file_leads_to_the_step(form: str, history: Path) -> None:
    """However it is named: to every version, the label, and the step."""
    file = done_file(history, 1)
    forms: dict[str, str | Path] = {
        "whole": file,
        "of the run": file.relative_to(history),
        "of labels": file.relative_to(history / "labels"),
        "name": file.name,
        "todo": f"labels/todo/{file.name}",
    }
    named = forms[form]
    told = asked("trace", history, "--file", named)

    assert told.startswith(f"pair {file.stem}: applied in step 1, label ")
    assert told.count("    | choice: ") == (1 if form == "todo" else 2)
    if form != "todo":
        versions = facts(history, "--file", named)["versions"]
        assert versions[-1]["raw"] == file.read_text()


def test_a_file_that_was_changed_since_is_told_so(tmp_path: Path) -> None:
    """What was trained on is in the journal; the file is not that any more."""
    run = rewound_run(tmp_path)
    file = done_file(run, 4)
    file.write_bytes(file.read_bytes() + b"\n")
    assert "was changed since" in asked("trace", run, "--step", "2")
    file.unlink()
    told = asked("trace", run, "--file", f"labels/done/{file.name}")
    assert "is not there any more; the journal has it" in told
    assert "    | choice: " in told


def test_a_step_that_is_undone_and_not_taken_again(tmp_path: Path) -> None:
    """It is shown as it was, and told to be undone."""
    run = rewound_run(tmp_path)
    back(run, 2)
    told = asked("trace", run, "--step", "4")

    assert "undone by a rewind to step 2" in told
    assert "and not taken again yet" in told
    assert facts(run, "--step", "4")["undone"]["to"] == 2
    assert those(run, Rewound)[-1].to == 2
    assert "applied" not in asked("trace", run, "--pair", "9").splitlines()[0]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ([], "not clear what to trace"),
        (["--step", "1", "--pair", "1"], "not clear what to trace"),
        (["--step", "9"], "step 9 was not taken: the run stands after step 2"),
        (["--step", "0"], "step 0 was not taken"),
        (["--pair", "99"], "no pair '99'"),
        (["--pair", "x"], "does not name a pair"),
        (["--prompt", "77"], "prompt 77 was not sampled"),
        (["--file", "labels/done/none.md"], "is from a file"),
    ],
)
def test_what_is_not_there_is_refused(
    wish: list[str], words: str, judged: Path
) -> None:
    """With what would be."""
    with pytest.raises(UsageError, match=words) as refused:
        asked("trace", judged, *wish)
    assert refused.value.hint
