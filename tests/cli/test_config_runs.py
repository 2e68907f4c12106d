"""Settings files of other trainers, run as they stand but for the paths in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from onlinedpo.engine import demo
from onlinedpo.engine.settings_file import parse
from tests.processes import onlinedpo
from tests.states.documents import YAMLS

QUICK = ("mlx-lm-lora.yaml",)
SHORT = (
    *("--iters", "1", "--batch-size", "2", "--grad-accumulation-steps", "1"),
    *("--max-completion-length", "8", "--val-prompts", "2"),
    *("--judge", str(demo.MODEL), "--judge-orders", "1"),
)
PATHS: dict[str, Any] = {
    **dict.fromkeys(("model", "model_name_or_path", "judge"), str(demo.MODEL)),
    **dict.fromkeys(("data", "dataset_name"), str(demo.PROMPTS)),
    "reference_model_path": str(demo.MODEL),
    "dataset": [str(demo.PROMPTS)],
    "resume_adapter_file": None,
}
# What would be fetched, or written far away.
ELSEWHERE = ("hf_dataset", "reward_model_path")


def replaced(name: str, folder: Path) -> Path:
    """The file with the demo's model and prompts in it, and nothing else changed."""
    values, _ = parse(YAMLS[name], name)
    for key, path in PATHS.items():
        if key in values:
            values[key] = path
    for key in ELSEWHERE:
        values.pop(key, None)
    if "output" in values:
        values["output"]["adapter_path"] = str(folder / "adapter")
    if "adapter_path" in values:
        values["adapter_path"] = str(folder / "adapter")
    path = folder / name
    whole = json.dumps(values) if name.endswith(".json") else yaml.safe_dump(values)
    path.write_text(whole)
    return path


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in YAMLS],
)
def test_a_file_of_another_trainer_runs_on_the_demos_model(
    name: str, tmp_path: Path
) -> None:
    """It trains, puts the adapter where the file says, and goes on with it again."""
    file, run = replaced(name, tmp_path), tmp_path / "run"

    ended = onlinedpo("run", run, "-c", file, *SHORT)
    assert ended.code == 0, ended.output
    assert "finished: 1 of 1 steps" in ended.output
    assert "-> " in ended.output and "without meaning here: " in ended.output
    values = yaml.safe_load((run / "config.yaml").read_text())
    place = Path(values["adapter_path"] or run / "adapters")
    assert (place / "adapters.safetensors").exists()

    again = onlinedpo("run", run, "-c", file, *SHORT, "--iters", "2")
    assert again.code == 0, again.output
    assert "finished: 2 of 2 steps" in again.output
