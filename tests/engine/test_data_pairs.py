"""Preference pairs that are there already: in every shape that trainers know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.engine.data.pairs import PreferencePair, describe, load_pairs
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.cli.test_export import history, written
from tests.engine.test_data_columns import ASKED, BRIEF, TALK, said
from tests.engine.test_data_sources import lines, table

OTHER = [*ASKED, *said("assistant: Or")]


def pairs(source: Path, **wanted: Any) -> list[PreferencePair]:
    """The pairs of a file or folder."""
    return load_pairs(Settings(offline_pairs=str(source), **wanted))


@pytest.mark.parametrize(
    ("row", "before"),
    [
        ({"prompt": "Hi", "chosen": "Then", "rejected": "Or"}, said("user: Hi")),
        ({"prompt": ASKED, "chosen": "Then", "rejected": "Or"}, ASKED),
        (
            {
                "prompt": ASKED,
                "chosen": said("assistant: Then"),
                "rejected": said("assistant: Or"),
            },
            ASKED,
        ),
        # TRL's implicit prompt.
        ({"chosen": TALK, "rejected": OTHER}, ASKED),
        ({"chosen": TALK, "rejected": OTHER, "system": "Be brief."}, BRIEF + ASKED),
        ({"chosen": BRIEF + TALK, "rejected": BRIEF + OTHER}, BRIEF + ASKED),
        # Both the prompt and whole conversations.
        ({"prompt": ASKED, "chosen": TALK, "rejected": OTHER}, ASKED),
        ({"prompt": ASKED, "chosen": TALK, "rejected": "Or"}, ASKED),
        (
            {"prompt": ASKED, "system": "Be brief.", "chosen": TALK, "rejected": OTHER},
            BRIEF + ASKED,
        ),
        # As the pages of mlx-lm-lora have them.
        (
            {"system": "Be brief.", "prompt": "Hi", "chosen": "Then", "rejected": "Or"},
            BRIEF + said("user: Hi"),
        ),
        (
            {
                "prompt": "Hi",
                "chosen": {"messages": said("assistant: Then")},
                "rejected": {"role": "assistant", "content": "Or"},
                "preference_score": 8.0,
            },
            said("user: Hi"),
        ),
        ({"chosen": {"messages": TALK}, "rejected": {"messages": OTHER}}, ASKED),
        # With a conversation in the place of the prompt, as it may be for sampling.
        ({"messages": ASKED, "chosen": "Then", "rejected": "Or"}, ASKED),
    ],
)
def test_a_row_becomes_a_pair(
    row: dict[str, Any], before: list[dict[str, str]], tmp_path: Path
) -> None:
    """What was asked, and two completions."""
    file = lines(tmp_path / "pairs.jsonl", [row])

    assert pairs(file) == [PreferencePair(tuple(before), "Then", "Or")]


def test_columns_of_pairs_can_have_other_names(tmp_path: Path) -> None:
    """And the pairs may stand in any kind of file, or in a folder's train file."""
    row = {"question": "Hi", "good": "Then", "bad": ""}
    wanted = {
        "prompt_feature": "question",
        "chosen_feature": "good",
        "rejected_feature": "bad",
    }

    expected = [PreferencePair(tuple(said("user: Hi")), "Then", "")]
    for file in ("train.csv", "train.parquet"):
        assert pairs(table(tmp_path / file, [row]), **wanted) == expected
    assert pairs(tmp_path, **wanted) == expected


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "Hi", "chosen": "Then"}, "no column 'rejected'"),
        ({"prompt": "Hi", "chosen": None, "rejected": "Or"}, "no column 'chosen'"),
        ({"chosen": "Then", "rejected": "Or"}, "no column 'prompt'"),
        (
            {"prompt": "Bye", "chosen": TALK, "rejected": OTHER},
            "'chosen' that answers another conversation than its prompt",
        ),
        (
            {"chosen": TALK, "rejected": said("user: Bye", "assistant: Or")},
            "'chosen' and 'rejected' that answer different conversations",
        ),
        ({"prompt": "Hi", "chosen": ASKED, "rejected": "Or"}, "ends with a turn of"),
        ({"prompt": "Hi", "chosen": 7, "rejected": "Or"}, "no list of messages"),
    ],
)
def test_a_row_that_is_no_pair_is_named(
    row: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """Nothing is guessed: which completion answers what must be plain."""
    file = lines(tmp_path / "pairs.jsonl", [row])

    with pytest.raises(UsageError, match=rf"pairs\.jsonl:1.*{told}"):
        pairs(file)


@pytest.mark.parametrize("format_", ["jsonl", "parquet", "datasets", "mlx-lm-lora"])
@pytest.mark.parametrize("style", ["conversational", "plain"])
def test_what_is_exported_can_be_trained_on(
    format_: str, style: str, tmp_path: Path
) -> None:
    """The pairs of a run come back as they were, in every format of preference data."""
    run = written(tmp_path / "run", history())
    # A folder is told by what lies in it, and a file by its name.
    name = {"jsonl": "pairs.jsonl", "parquet": "pairs.parquet"}.get(format_, "pairs")
    output = str(tmp_path / name)
    arguments = ["export", str(run), "--format", format_, "-o", output]
    if format_ != "mlx-lm-lora":
        arguments += ["--style", style]

    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0, result.output
    assert pairs(tmp_path / name) == [
        PreferencePair(
            ({"role": "user", "content": f"Question {n}?"},),
            f"{'Two' if n == 4 else 'One'} {n}.",
            f"{'One' if n == 4 else 'Two'} {n}.",
        )
        for n in (0, 1, 4)
    ]


def test_other_pairs_have_another_digest(tmp_path: Path) -> None:
    """Another text, order or label is other data."""
    rows = [{"prompt": f"{n}?", "chosen": "a", "rejected": "b"} for n in range(2)]
    swapped = [rows[0], {**rows[1], "chosen": "b", "rejected": "a"}]

    told = [
        describe(pairs(lines(tmp_path / "pairs.jsonl", values)))
        for values in (rows, rows[::-1], swapped, rows)
    ]

    assert told[0] == told[3]
    assert len({one["train_digest"] for one in told}) == 3
    assert {one["train"] for one in told} == {2}
