"""`onlinedpo config`, and with it: where the settings of a run come from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.cli.options import flags, title
from onlinedpo.engine.settings_file import read_settings
from onlinedpo.states.config import GROUPS, Settings
from onlinedpo.states.errors import OnlineDPOError, SettingsChanged, UsageError
from tests.processes import onlinedpo
from tests.states.documents import MLX_LM_LORA_FLAGS, YAMLS
from tests.tables.settings import (
    NAMES,
    OTHER,
    TOGETHER,
    arrivals,
    default,
    resolved,
    table,
    typed,
)
from tests.toys import prompts_file, toy_model


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_wins_over_the_file_over_the_runs_own_over_the_default(
    name: str, tmp_path: Path
) -> None:
    """For every setting, through the command line and real files."""
    rows = arrivals(name, tmp_path)

    assert [came for _, _, came, _ in rows] == [value for _, value, _, _ in rows]
    assert [origin for *_, origin in rows] == [
        "default",
        "run/config.yaml",
        "file/config.yaml",
        "flag",
    ]


def test_the_table_of_all_settings_can_be_written() -> None:
    """`python -m tests.tables.settings` says of each that it takes effect."""
    group = GROUPS[-1]
    lines = [line for line in table([group]) if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(group.__annotations__)
    assert all("default, YAML, flag" in line for line in lines)


def test_every_setting_is_in_the_help_of_run_in_its_group() -> None:
    """`onlinedpo run --help` is where settings are documented."""
    text = CliRunner().invoke(cli, ["run", "--help"], terminal_width=80).output
    assert max(len(line) for line in text.splitlines()) <= 90
    sections = text.split("\n\n")
    for group in GROUPS:
        (section,) = (s for s in sections if s.startswith(f"{title(group)}:"))
        for name in group.__annotations__:
            flag = name.replace("_", "-")
            assert f"  --{flag} " in section or f"  --[no-]{flag} " in section
    assert "--train-type" not in text and "--load-in" not in text


def test_what_is_printed_is_a_settings_file(tmp_path: Path) -> None:
    """Printed, given back and printed again, it says the same."""
    values = {**TOGETHER, "judge_system": "First line.\nSecond: \x1b[1m # line \u2028."}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values))
    runner = CliRunner()
    printed = runner.invoke(cli, ["config", "-c", str(tmp_path / "a.yaml")]).output
    (tmp_path / "b.yaml").write_text(printed)

    assert "\x1b" not in printed
    assert read_settings(tmp_path / "b.yaml") == Settings(**values).as_dict()
    for name in NAMES:
        (line,) = (x for x in printed.splitlines() if x.startswith(f"{name}: "))
        assert line.partition("  # ")[2]


def test_each_value_is_printed_with_its_origin(tmp_path: Path) -> None:
    """The file with line and key, the flag, or the default."""
    path = tmp_path / "peer.yaml"
    path.write_text("seed: 3\ntrain_type: dora\nadapter:\n  rank: 4\nfuse: true\n")
    done = CliRunner().invoke(cli, ["config", "-c", str(path), "--iters", "7"])

    assert f"seed: 3  # {path} line 1\n" in done.output
    assert f"fine_tune_type: dora  # {path} line 2, as train_type\n" in done.output
    assert f"  # {path} line 4, as adapter.rank\n" in done.output
    assert "iters: 7  # flag\n" in done.output
    assert "beta: 0.1  # default\n" in done.output
    assert "#   train_type -> fine_tune_type: dora\n" in done.output
    assert "#   fuse: no meaning here; mlx_lm.fuse does this" in done.output


def test_programs_can_read_it(tmp_path: Path) -> None:
    """--json has values, sources, and what became of foreign keys."""
    path = tmp_path / "peer.yaml"
    path.write_text("train: true\nload_in_4bits: true\n")
    facts = resolved("-c", path, "--beta", "0.3")

    assert facts["settings"] == Settings(quantize="4bits", beta=0.3).as_dict()
    assert facts["sources"]["beta"] == {"from": "flag", "key": None, "line": None}
    assert facts["sources"]["quantize"] == {
        "from": str(path),
        "key": "load_in_4bits",
        "line": 2,
    }
    assert [n["became"] for n in facts["translated"]] == ["quantize: 4bits"]
    assert [n["key"] for n in facts["ignored"]] == ["train"]


@pytest.mark.parametrize("name", YAMLS)
def test_a_file_of_another_trainer_is_resolved(name: str, tmp_path: Path) -> None:
    """As it stands, JSON with tabs and escaped slashes too."""
    path = tmp_path / name
    path.write_text(YAMLS[name])
    facts = resolved("-c", path)
    assert facts["settings"]["model"]
    assert facts["translated"] or facts["ignored"]


def test_their_flags_are_taken(tmp_path: Path) -> None:
    """The command line of mlx-lm-lora's README, with another program's name."""
    facts = resolved(*MLX_LM_LORA_FLAGS.split())
    settings = facts["settings"]

    assert (settings["model"], settings["data"], settings["judge"]) == ("M", "D", "J")
    assert settings["quantize"] == "4bits"
    assert settings["grad_accumulation_steps"] == 4
    assert settings["report_to"] == "wandb"
    assert (settings["iters"], settings["epochs"]) == (1000, None)
    assert settings["lora_parameters"]["rank"] == 8


@pytest.mark.parametrize(
    ("weak", "strong", "instead"),
    [
        ({"epochs": 3}, ("--iters", "5"), "epochs"),
        ({"hf_dataset": {"path": "a/b"}}, ("--data", "x.jsonl"), "hf_dataset"),
        (
            {"lr_schedule": OTHER["lr_schedule"]},
            ("--learning-rate", "1e-3"),
            "lr_schedule",
        ),
        ({"beta_schedule": OTHER["beta_schedule"]}, ("--beta", "0.3"), "beta_schedule"),
    ],
)
def test_a_flag_counts_though_the_file_has_what_would_replace_it(
    weak: dict[str, Any], strong: tuple[str, str], instead: str, tmp_path: Path
) -> None:
    """--learning-rate is not without effect because the file has a schedule."""
    path = tmp_path / "f.yaml"
    path.write_text(yaml.safe_dump(weak))
    facts = resolved("-c", path, *strong)

    assert facts["settings"][instead] is None
    name = strong[0][2:].replace("-", "_")
    assert facts["sources"][instead]["key"] == f"{name} is given"
    assert resolved("-c", path)["settings"][instead] is not None


def test_of_an_adapter_each_part_counts_for_itself(tmp_path: Path) -> None:
    """A flag for the rank leaves the file's scale."""
    path = tmp_path / "f.yaml"
    path.write_text("lora_parameters: {rank: 4, scale: 2.0}\n")
    facts = resolved("-c", path, "--lora-parameters", "{rank: 16}")
    assert facts["settings"]["lora_parameters"] == {
        "rank": 16,
        "dropout": 0.0,
        "scale": 2.0,
    }


def test_a_path_may_begin_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in MLX-LoRA-Studio's files: a shell would have put it in place of ~."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "f.yaml").write_text("adapter_path: ~/runs/one\njudge: org/judge\n")
    settings = resolved("-c", tmp_path / "f.yaml")["settings"]
    assert settings["adapter_path"] == str(tmp_path / "runs" / "one")
    assert settings["judge"] == "org/judge"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step, with many settings from its file and as flags."""
    folder = tmp_path_factory.mktemp("begun")
    model = toy_model(folder / "model", opinionated=True)
    file = {
        **{"model": str(model), "judge": str(model), "judge_orders": 1},
        **{"data": str(prompts_file(folder / "data", 10, held_out=2))},
        **{"train": True, "train_type": "lora", "val_batches": 1, "fuse": False},
        **{"batch_size": 2, "max_completion_length": 8, "learning_rate": "1e-4"},
        **{"lora_parameters": {"rank": 4}, "save_every": 1},
    }
    (folder / "their.yaml").write_text(yaml.safe_dump(file))
    ended = onlinedpo(
        *("run", folder / "run", "-c", folder / "their.yaml"),
        *("--iters", "1", "--top-p", "0.9", "--loss-type", "ipo", "--lora-layers", "1"),
    )
    assert ended.code == 0, ended.output
    (folder / "output.txt").write_text(ended.output)
    return folder


def test_the_engine_is_given_what_is_shown(begun: Path) -> None:
    """RUN/config.yaml has it, from a file of another trainer and flags of others."""
    facts = resolved(
        *("-c", begun / "their.yaml", "--iters", "1", "--top-p", "0.9"),
        *("--loss-type", "ipo", "--lora-layers", "1"),
    )
    in_force = yaml.safe_load((begun / "run" / "config.yaml").read_text())
    assert facts["settings"] == in_force
    assert in_force["lora_parameters"] == {"rank": 4, "dropout": 0.0, "scale": 10.0}


def test_a_run_says_once_what_became_of_foreign_keys(begun: Path) -> None:
    """In a line for those that are read as ours, and in one for those that are not."""
    output = (begun / "output.txt").read_text()
    assert output.count("train_type -> fine_tune_type: lora") == 1
    assert "val_batches -> val_prompts: 2" in output
    assert "without meaning here: fuse, train" in output


def test_the_settings_of_a_run_come_from_its_journal(begun: Path) -> None:
    """Also without config.yaml; flags that may change do, and others are refused."""
    run = begun / "run"
    facts = resolved(run)
    in_force = yaml.safe_load((run / "config.yaml").read_text())
    assert facts["settings"] == in_force
    assert facts["sources"]["seed"]["from"] == "the run's journal"

    facts = resolved(run, "--iters", "9")
    assert facts["settings"] == {**in_force, "iters": 9}
    assert facts["sources"]["iters"]["from"] == "flag"
    with pytest.raises(SettingsChanged, match=r"beta: 0\.1 -> 0\.5"):
        resolved(run, "--beta", "0.5")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """Unless settings are given for a run that is to begin there."""
    with pytest.raises(UsageError, match="is not a run"):
        resolved(tmp_path / "none")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        resolved(tmp_path, "--seed", "1")
    assert resolved(tmp_path / "new", "--seed", "1")["settings"]["seed"] == 1
    assert not (tmp_path / "new").exists()


def test_it_needs_neither_mlx_nor_the_network() -> None:
    """Nothing is loaded, and no library for models either."""
    program = (
        "import sys\nfrom onlinedpo.cli.main import cli\n"
        "cli(['config', '--model', 'no/such', '--json'], standalone_mode=False)\n"
        "print({m.split('.')[0] for m in sys.modules}"
        " & {'mlx', 'mlx_lm', 'transformers', 'datasets', 'huggingface_hub', 'numpy'},"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["settings"]["model"] == "no/such"
    assert done.stderr.strip() == "set()"


def test_no_key_of_a_server_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the name of its environment variable."""
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    done = CliRunner().invoke(cli, ["config", "--judge-key-env", "MY_KEY"])
    assert "judge_key_env: MY_KEY" in done.output
    assert "secret" not in done.output


def test_null_can_be_typed() -> None:
    """For every setting that has it; it is no text, and no number elsewhere."""
    for name in NAMES:
        if default(name) is None or name == "max_grad_norm":
            assert resolved(*typed(name, None))["sources"][name]["from"] == "flag"
    for flag in ("--iters", "--beta", "--ties"):
        assert CliRunner().invoke(cli, ["config", flag, "null"]).exit_code == 2


def test_a_list_may_be_typed_with_commas() -> None:
    """Of judges, as YAML or without brackets."""
    for text in ("a/b,c/d", "[a/b, c/d]"):
        settings = resolved("--judge-panel", text)["settings"]
        assert settings["judge_panel"] == ["a/b", "c/d"]


def test_names_of_choices_may_be_in_capitals() -> None:
    """As MLX-LoRA-Studio shows them."""
    assert resolved("--optimizer", "AdamW")["settings"]["optimizer"] == "adamw"


def test_a_flag_that_is_not_given_is_not_set() -> None:
    """None has a default, so that a file is never shadowed."""
    assert flags(cli.commands["run"].make_context("run", []).params).settings == {}


def test_every_error_is_one_of_ours(tmp_path: Path) -> None:
    """A mistake in a mapping on the command line names its flag."""
    with pytest.raises(OnlineDPOError, match="--lora-parameters:1 is not YAML"):
        resolved("--lora-parameters", "{rank: [")
