"""Settings files with mistakes: each costs one line that says where and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onlinedpo.engine.settings_file import read_file, read_settings
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError

MISTAKES: dict[str, tuple[str | bytes, str]] = {
    "twice.yaml": ("iters: 5\nbeta: 1\niters: 7\n", "twice in {}, in lines 1 and 3"),
    "within.yaml": (
        "lora_parameters:\n  rank: 4\n  scale: 1\n  rank: 5\n",
        "'rank' is given twice in {}, in lines 2 and 4",
    ),
    "twice.json": ('{"iters": 5, "iters": 6}', "'iters' is given twice in {}"),
    "tab.yaml": ("lora_parameters:\n\trank: 8\n", "{}:2 is not YAML"),
    "utf16.yaml": (b"\xff\xfei\x00", "{} is not UTF-8 text"),
    "latin.yaml": ("annotator: J\xf6rg\n".encode("latin-1"), "{} is not UTF-8"),
    "control.yaml": ("\0\1", "{} is not YAML: special characters"),
    "list.yaml": ("- iters\n- beta\n", "{} holds no settings"),
    "text.yaml": ("iters:5\n", "{} holds no settings"),
    "code.yaml": ("model: !!python/object/apply:os.system [ls]\n", "{}:1 is not YAML"),
    "deep.yaml": (f"judge_panel: {'[' * 5000}\n", "{} is nested too deeply"),
    "deep.json": (f'{{"judge_panel": {"[" * 100_000}', "{} is nested too deeply"),
    "itself.yaml": ("optimizer_config: &x {adam: *x}\n", "{} unfolds without end"),
    "date.yaml": ("data: 2024-13-45\n", "{}:1 cannot be read: month must be"),
    "long.yaml": (f"seed: {'9' * 5000}\n", "{}:1 cannot be read: the number is"),
    "long.json": (f'{{"seed": {"9" * 5000}}}', "{} cannot be read: Exceeds the limit"),
    "two.yaml": ("model: a\n---\nmodel: b\n", "{}:2 is not YAML: expected a single"),
    "comma.json": ('{\n"iters": 5,\n}', "{}:3 is not JSON"),
    "infinite.yaml": ("iters: .inf\n", "iters is inf"),
    "nan.json": ('{"learning_rate": NaN}', "learning_rate is nan"),
    "huge.yaml": (f"iters: {10**30}\n", f"iters is {10**30}"),
    "float.json": (f'{{"beta": 1{"0" * 400}}}', "beta is 1"),
    "surrogate.json": ('{"judge_system": "\\ud83d"}', "judge_system is"),
    "quoted.yaml": ('batch_size: "4"\n', "batch_size is '4'"),
    "key.yaml": ("5: 1\n", "unknown setting '5' in {}"),
    "on.yaml": ("on: 1\n", "unknown setting 'True' in {}"),
    "key.json": ('{"": 1}', "unknown setting '' in {}"),
    "list-key.yaml": ("? [a, b]\n: 1\n", "{}:1 is not YAML: while constructing"),
    "anchor.yaml": ("iters: *nowhere\n", "{}:1 is not YAML: found undefined alias"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_costs_one_line(name: str, tmp_path: Path) -> None:
    """It names the file, and the line where there is one, with a remedy."""
    content, told = MISTAKES[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(UsageError) as refused:
        Settings(**read_settings(path))

    assert told.format(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    assert refused.value.exit_code == 2


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """One that is not there, and one that is a folder."""
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(UsageError, match=f"{path} cannot be read: "):
            read_settings(path)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("# nothing yet\n", {}),
        ("---\niters: 5\n...\n", {"iters": 5}),
        ("\ufeffiters: 5\r\nseed: 1\r\n", {"iters": 5, "seed": 1}),
        ("iters: 1e3\nlearning_rate: 1e-5", {"iters": 1e3, "learning_rate": 1e-5}),
        (
            "grad_checkpoint: yes\nsoft_labels: off",
            {"grad_checkpoint": True, "soft_labels": False},
        ),
        ("{iters: 5, seed: 1}", {"iters": 5, "seed": 1}),
        ('{"iters": 5,}', {"iters": 5}),
        ("iters: null\nseed:\n", {}),
        (
            "lora_parameters: &l {rank: 4, scale: 1}\n"
            "optimizer_config: {adam: {<<: *l, rank: 5}}\n",
            {
                "lora_parameters": {"rank": 4, "scale": 1},
                "optimizer_config": {"adam": {"rank": 5, "scale": 1}},
            },
        ),
        (
            "judge_system: 'gr\xfc\xdfe \U0001f600'",
            {"judge_system": "gr\xfc\xdfe \U0001f600"},
        ),
    ],
)
def test_what_yaml_allows_is_read(
    text: str, settings: dict[str, object], tmp_path: Path
) -> None:
    """A byte-order mark, 1e-5, yes and off, anchors and merges, an empty file."""
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_settings(path) == settings
    assert Settings(**read_settings(path))


def test_json_is_read_with_tabs_and_escapes(tmp_path: Path) -> None:
    """Which are no YAML."""
    path = tmp_path / "run_spec.json"
    path.write_text(json.dumps({"model": "a/b"}, indent="\t").replace("/", "\\/"))
    assert read_settings(path) == {"model": "a/b"}


def test_the_line_of_each_key_is_known(tmp_path: Path) -> None:
    """Also below another key."""
    path = tmp_path / "f.yaml"
    path.write_text("# first\nseed: 1\n\nadapter:\n  rank: 4\n  scale: 2\n")
    _, lines = read_file(path)
    assert lines == {"seed": 2, "adapter": 4, "adapter.rank": 5, "adapter.scale": 6}
