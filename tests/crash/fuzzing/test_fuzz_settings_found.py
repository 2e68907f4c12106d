"""Settings that fuzzing found, and what was feared: each is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.engine.settings_file import read_file
from onlinedpo.states.errors import UsageError
from tests.crash.fuzzing.test_fuzz_settings import RUNS_CODE, settings_of


def test_yaml_runs_no_code(tmp_path: Path) -> None:
    """Neither a tag of PyYAML's nor any other; the line is told."""
    made, path = tmp_path / "made", tmp_path / "x.yaml"
    for text in (RUNS_CODE.format(made), f"[{RUNS_CODE.format(made)}]"):
        path.write_text(f"iters: 3\nmodel: {text}\n")
        with pytest.raises(UsageError, match=r"x\.yaml:2 is not YAML"):
            read_file(path)
    assert not made.exists()


def test_a_text_that_begins_like_a_number_is_text(tmp_path: Path) -> None:
    """A commit of the Hub may begin so: 8e12ab34."""
    path = tmp_path / "x.yaml"
    path.write_text("revision: 8e12ab34cd\nlearning_rate: 1e-5\n")
    settings = settings_of(path)
    assert settings.revision == "8e12ab34cd" and settings.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('iters: 1\nseed: !!int ""', ":2 cannot be read: it is no int"),
        ("iters: 1\nmodel: !!bool maybe", ":2 cannot be read: it is no bool"),
        ("data: !!timestamp soon", ":1 cannot be read: it is no timestamp"),
        ("seed: 0x" + "f" * 6000, ":1 cannot be read: the number is too large"),
        ("seed: 1" + ":00" * 6000, ":1 cannot be read: the number is too large"),
        ('model: "~\\0"', "model is"),
        ("beta_schedule: {name: exponential_decay, arguments: [.1, 1e300]}", "beta"),
        ("lr_scheduler_type: cosine\nwarmup_ratio: 1.0e+308", "is no number of steps"),
    ],
)
def test_an_odd_value_is_told_with_its_line(
    text: str, says: str, tmp_path: Path
) -> None:
    """Each of these was an error without a message once."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        settings_of(path)


def test_what_is_too_large_for_settings_is_not_read(tmp_path: Path) -> None:
    """The data given as settings would keep PyYAML busy for hours."""
    path = tmp_path / "x.yaml"
    path.write_text('{"prompt": "x"}\n' * 80_000)
    with pytest.raises(UsageError, match="larger than 1 MB"):
        read_file(path)
