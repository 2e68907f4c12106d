"""Hostile settings: YAML and JSON of every kind, and values on the command line."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.engine.settings_file import parse, read_file
from onlinedpo.states import given
from onlinedpo.states.checks import plain
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import OnlineDPOError, SettingsChanged, UsageError
from onlinedpo.states.foreign.names_data import ALIASES, UNUSED
from onlinedpo.states.foreign.values import VALUES
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import MEMORY, Target, ending, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import (
    MORE,
    PIECES,
    WRONG,
    as_json,
    of_bytes,
    of_trees,
)
from tests.states import documents
from tests.states.test_foreign import TRANSLATED

FILES = {"quick": 60, "full": 2_000}
VALUES_OF_KEYS = {"quick": 300, "full": 8_000}
FLAGS = {"quick": 40, "full": 1_000}

RUNS_CODE = "!!python/object/apply:os.mkdir [{}]"
"""What PyYAML's other loaders would do at once."""

TAGS = (
    *('!!int ""', "!!float x", "!!bool x", "!!timestamp x", "!!binary '@'", "!!null x"),
    *("!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!str", "!!map []", "!x y"),
    *(
        "!!python/name:os.system",
        "!!python/object/new:os.system [ls]",
        "<<: {iters: 3}",
    ),
    *(
        "&a [*a]",
        "*a",
        "? [a]\n: b",
        "0x" + "f" * 6000,
        "1" + ":00" * 5000,
        "0b_",
        "0o8",
    ),
    *("2024-13-45", "2024-01-01 00:00:00 +99:99", "1e5x", ".inf", "-.NaN", "~\0", "~"),
    *("8e12ab34cd", "1_000", "!!merge <<", "=", "|\n x", ">-\n\t", "%YAML 9.9\n---"),
)
"""YAML that is more than it seems, or less."""


def settings_of(path: Path, dumped: Callable[[Any], str] = json.dumps) -> Settings:
    """The settings that a file gives, which mean the same when they are written."""
    given_there, _ = read_file(path)
    settings = Settings(**given_there.settings)
    again, _ = parse(dumped(settings.as_dict()), "again.yaml")
    assert plain(Settings(**again).as_dict()) == plain(settings.as_dict())
    try:
        given.resume(Settings(model="m").as_dict(), given_there.settings)
    except SettingsChanged as error:
        assert error.hint
    return settings


def as_yaml(values: Any) -> str:
    """As RUN/config.yaml is written."""
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


@tiers
def test_settings_files_changed_anyhow(tier: str, tmp_path: Path, count: Count) -> None:
    """Refused in one line, or settings that come back as they are."""
    texts = [text.encode() for text in documents.YAMLS.values()]
    plain_ones = yaml.safe_dump(Settings(model="m").as_dict(), sort_keys=False).encode()

    def change(chance: random.Random, data: bytes, pool: Sequence[Any]) -> bytes:
        data = of_bytes(chance, data, pool)
        if chance.random() < 0.5:
            lines = data.split(b"\n")
            at = chance.randrange(len(lines))
            key = lines[at].partition(b":")[0]
            lines[at] = key + b": " + chance.choice(TAGS).encode()
            data = b"\n".join(lines)
        return data[: 1 << 15]

    def read(data: bytes) -> None:
        path = tmp_path / f"x.{('yaml', 'json')[len(data) % 7 == 0]}"
        path.write_bytes(data)
        try:
            settings_of(path, as_yaml)
        except UsageError as error:
            assert "\n" not in str(error) and error.hint
            raise

    seeds = [*texts, plain_ones, json.dumps(documents.STUDIO_SPEC).encode()]
    target = Target("settings files", seeds, change, read, (UsageError,))
    found = fuzz(target, FILES[tier], count)
    assert found.taken > FILES[tier] // 50


@tiers
def test_values_of_settings_changed_anyhow(
    tier: str, tmp_path: Path, count: Count
) -> None:
    """Every key, ours and those of other trainers, with values of every type."""
    keys = [*(f.name for f in fields(Settings)), *ALIASES, *VALUES, *UNUSED]
    seeds: list[Any] = [
        *(values for values, _ in TRANSLATED),
        *(parse(text, "")[0] for text in documents.YAMLS.values()),
        documents.STUDIO_SPEC,
        {"beta_schedule": {"name": "exponential_decay", "arguments": [0.1, 0.9]}},
        {"hf_dataset": [{"path": "x/y", "config": {"name": "z"}}]},
    ]
    seeds = [json.loads(json.dumps(seed)) for seed in seeds]
    wrong = (*WRONG, *MORE, 1e300, {"iters_fraction": 2.0}, "cosine:9:9", "1e400")

    def change(chance: random.Random, tree: Any, pool: Sequence[Any]) -> Any:
        tree = of_trees(*MORE)(chance, tree, pool)
        if isinstance(tree, dict) and chance.random() < 0.7:
            tree[chance.choice(keys)] = chance.choice(wrong)
        return tree

    def read(data: bytes) -> None:
        path = tmp_path / "x.json"
        path.write_bytes(data)
        settings_of(path)

    target = Target(
        "values of settings",
        seeds,
        change,
        read,
        (UsageError,),
        written=as_json,
    )
    found = fuzz(target, VALUES_OF_KEYS[tier], count)
    assert found.taken > VALUES_OF_KEYS[tier] // 50


@tiers
def test_flags_with_values_of_any_kind(tier: str, tmp_path: Path, count: Count) -> None:
    """What is typed is a setting or a mistake that is told, never a traceback."""
    names = [
        option
        for parameter in cli.commands["config"].params
        for option in parameter.opts
        if option.startswith("--") and option not in ("--help", "--config")
    ]
    texts = [w if isinstance(w, str) else json.dumps(w) for w in (*WRONG, *MORE[:1])]
    texts += [*TAGS, *(p.decode("utf-8", "surrogateescape") for p in PIECES)]
    runner = CliRunner()
    for number in range(FLAGS[tier]):
        chance = random.Random(f"flags {number}")
        given_flags: list[str] = []
        for _ in range(chance.choice((1, 1, 2, 3))):
            given_flags.append(f"{chance.choice(names)}={chance.choice(texts)}")
        with ending():
            result = runner.invoke(cli, ["config", *given_flags])
        error = result.exception
        assert error is None or isinstance(error, OnlineDPOError | SystemExit), (
            [flag[:200] for flag in given_flags],
            error,
        )
        count("hostile inputs", 1)


BOMBS: dict[str, str] = {
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]\n"
        for one, two in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "laughs by merging": "a: &a {x: 1}\n"
    + "".join(
        f"{two}: &{two} {{<<: [{', '.join([f'*{one}'] * 9)}]}}\n"
        for one, two in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "itself by merging": "a: &a {<<: *a}\n",
    "anchors": "".join(f"k{n}: &x{n} v\n" for n in range(3_000)),
    "one long text": f"model: {'x' * 100_000}",
    "blank lines": "\n" * 100_000,
    "blanks": " " * 100_000 + "x",
    "tabs": "a:\n" + "\t" * 100_000,
    "quotes": "model: '" + "''" * 40_000 + "'",
    "comments": "# x\n" * 30_000,
    "a number in sixties": f"seed: 1{':00' * 60_000}",
    "a hexadecimal number": f"seed: 0x{'f' * 200_000}",
    "a key of numbers": f"? 0x{'f' * 20_000}\n: 1",
    "documents": "---\n" * 30_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_unfolds_or_is_very_long_costs_little(name: str, tmp_path: Path) -> None:
    """Refused, or read, soon; nothing is unfolded that has no end."""
    path = tmp_path / "x.yaml"
    path.write_text(BOMBS[name])
    tracemalloc.start()
    with suppress(UsageError), ending():
        settings_of(path)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < MEMORY
