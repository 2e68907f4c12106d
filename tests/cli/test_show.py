"""`show`: the whole life of one pair, without MLX and in a blink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onlinedpo.states.errors import UsageError
from tests.cli.histories import asked, judged_run, rewound_run
from tests.people.runs import pairs
from tests.processes import onlinedpo


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a model as judge."""
    return judged_run(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with people that was rewound."""
    return rewound_run(tmp_path_factory.mktemp("history"))


def test_show_tells_a_pairs_whole_life_with_the_raw_evidence(run: Path) -> None:
    """Sampled, submitted, each verdict with its exact question, label, step."""
    told = asked("show", run, "0")

    for word in ("sampled", "to be judged", "verdict", "log p(A)", "asked (", "label"):
        assert word in told
    assert "Which answer is better? Reply with one letter: A or B." in told
    assert "pair 1 of 2; its margin before the step +0.00000" in told


def test_it_begins_with_where_the_pair_stands_now(run: Path) -> None:
    """And with the step that trained on it."""
    first, second, *_ = asked("show", run, "0").splitlines()

    assert first.startswith(f"pair {pairs(run)[0].pair}: applied in step 1, label ")
    assert second.startswith("  step 1, ") and "pair 1 of 2, chosen " in second


def test_it_takes_the_pairs_name_and_gives_records_as_json(run: Path) -> None:
    """The full name works as the number does; --json is a record a line."""
    rows = [json.loads(row) for row in asked("show", run, "0", "--json").splitlines()]
    name = pairs(run)[0].pair

    assert [row["kind"] for row in rows][:2] == ["sampled", "submitted"]
    assert (
        asked("show", run, name) == asked("show", run, "0") == asked("show", run, "00")
    )


@pytest.mark.parametrize("pair", ["99", "000000-ffffffff", "nonsense", "²", ""])
def test_an_unknown_pair_is_refused(pair: str, run: Path) -> None:
    """A name that no pair has is no pair's."""
    with pytest.raises(UsageError, match=f"'{pair}'"):
        asked("show", run, pair)


def test_a_name_that_is_not_quite_right_is_corrected(run: Path) -> None:
    """In one clear line, with an exit code of its own."""
    told = onlinedpo("show", run, "000000-ffffffff")

    assert told.code == 2
    assert f"Its name is {pairs(run)[0].pair}" in told.output
    assert "Traceback" not in told.output


def test_steps_that_were_undone_are_told_as_such(history: Path) -> None:
    """Trained on twice, the second time with the label that people gave later."""
    name = pairs(history)[1].pair
    told = asked("show", history, "1").splitlines()
    of_steps = [row.split(": ")[1] for row in told[1:4] if row.startswith("  step")]

    assert told[0].startswith(f"pair {name}: applied in step 1, label ")
    assert "undone by a rewind to step 0" in told[2]
    sides = [row.split("chosen ")[1].split(",")[0] for row in of_steps]
    assert sorted(sides) == ["first", "second"]
    assert "after it had ended" in told[4] and ": ann" in told[4]


def test_a_persons_file_is_shown_verbatim_and_where_it_lies_now(history: Path) -> None:
    """Both versions, of which the older was written over."""
    told = asked("show", history, "1")
    place = f"labels/done/{pairs(history)[1].pair}.md"

    assert told.count("    | choice: ") == 2
    assert f"{place} was changed since" in told
    assert f"{place} is as it was saved" in told


def test_what_people_and_models_wrote_cannot_drive_the_terminal(history: Path) -> None:
    """Whatever bytes are in it, none of them is a control character."""
    told = asked("show", history, "1")

    assert "\\x1b[31m" in told
    assert not [c for c in told if c < " " and c != "\n"]
