"""Every setting by default, from a file and as a flag: what arrives, as a table.

`python -m tests.tables.settings [FILE]` writes it in Markdown.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.cli.options import title
from onlinedpo.states.config import GROUPS, Settings

NAMES = [f.name for f in fields(Settings)]

OTHER: dict[str, Any] = {
    "model": "elsewhere/model",
    "revision": "main",
    "trust_remote_code": True,
    "quantize": "8bits",
    "resume_adapter_file": "elsewhere/adapters.safetensors",
    "reference_model_path": "elsewhere/reference",
    "chat_template": "{{ messages }}",
    "enable_thinking": True,
    "fine_tune_type": "dora",
    "num_layers": 4,
    "lora_parameters": {"rank": 9, "dropout": 0.0, "scale": 10.0},
    "grad_checkpoint": True,
    "data": "elsewhere.jsonl",
    "hf_dataset": {"path": "elsewhere/data", "train_split": "train[:90%]"},
    "prompt_feature": "question",
    "chat_feature": "conversation",
    "system_feature": "instruction",
    "chosen_feature": "better",
    "rejected_feature": "worse",
    "offline_pairs": "pairs.jsonl",
    "val_prompts": 8,
    "max_seq_length": 512,
    "seed": 1,
    "iters": 200,
    "epochs": 3,
    "batch_size": 8,
    "grad_accumulation_steps": 2,
    "micro_batch_size": 2,
    "pairs_per_round": 64,
    "learning_rate": 2e-5,
    "lr_schedule": {"name": "cosine_decay", "arguments": [1e-5, 100]},
    "optimizer": "sgd",
    "optimizer_config": {"adam": {"betas": [0.9, 0.99]}},
    "max_grad_norm": None,
    "beta": 0.2,
    "beta_schedule": {"name": "linear_schedule", "arguments": [0.2, 0.1, 100]},
    "dpo_cpo_loss_type": "sigmoid_norm",
    "delta": 5.0,
    "simpo_gamma": 1.5,
    "label_smoothing": 0.1,
    "soft_labels": True,
    "len_reg_alpha": 0.01,
    "missing_eos_penalty": 1.0,
    "ties": "rao-kupper",
    "rao_kupper_nu": 2.0,
    "truncated": "drop",
    "num_generations": 4,
    "pairing": "random",
    "max_completion_length": 64,
    "temperature": 1.0,
    "top_p": 0.9,
    "top_k": 20,
    "min_p": 0.1,
    "judge": "elsewhere/judge",
    "judge_panel": ["elsewhere/second", "elsewhere/third"],
    "judge_revision": "v2",
    "judge_system": "Prefer the shorter one.",
    "judge_format": "messages",
    "judge_orders": 1,
    "judge_mode": "generate",
    "judge_max_tokens": 64,
    "judge_temperature": 0.5,
    "judge_retries": 0,
    "judge_model": "served",
    "judge_key_env": "ANOTHER_KEY",
    "judge_timeout": 5.0,
    "judge_attempts": 2,
    "judge_concurrency": 3,
    "judge_parameters": {"top_p": 0.5},
    "escalate_below": 0.8,
    "human_share": 0.1,
    "label_budget": 500,
    "max_waiting": 9,
    "max_staleness": 3,
    "when_stale": "requeue",
    "late_labels": "requeue",
    "overlap": 0.2,
    "resolve": "majority",
    "annotator": "anna",
    "steps_per_report": 1,
    "steps_per_eval": 50,
    "save_every": 5,
    "adapter_path": "out",
    "report_to": "tensorboard",
    "project_name": "mine",
    "memory_limit_gb": 8.0,
}
"""Another legal value for every setting."""

APART = (
    *("label_smoothing", "soft_labels", "len_reg_alpha", "missing_eos_penalty"),
    *("offline_pairs",),
)
"""Settings that cannot have their other value beside all the others."""

TOGETHER = {name: value for name, value in OTHER.items() if name not in APART}
"""Other values that go together."""


def default(name: str) -> Any:
    """A setting's default."""
    return getattr(Settings(), name)


def typed(name: str, value: Any) -> list[str]:
    """A setting as somebody types it."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, str):
        return [flag, value]
    return [flag, json.dumps(value)]


def resolved(*arguments: str | Path) -> dict[str, Any]:
    """What `onlinedpo config --json` says for these arguments."""
    done = CliRunner().invoke(cli, ["config", "--json", *map(str, arguments)])
    if done.exception:
        raise done.exception
    found: dict[str, Any] = json.loads(done.output)
    return found


def written(folder: Path, name: str, value: Any) -> Path:
    """A settings file with one setting."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({name: value}))
    return path


def arrivals(name: str, folder: Path) -> list[tuple[str, Any, Any, str]]:
    """How it is given, what should arrive, what does, and whence: weakest first.

    Each source says what the weaker ones do not, and stands beside all of them.
    """
    usual, other = default(name), OTHER[name]
    run = written(folder / "run", name, other).parent
    file = written(folder / "file", name, usual)
    found = []
    for how, value, arguments in (
        ("default", usual, []),
        ("RUN/config.yaml", other, [run]),
        ("YAML", usual, [run, "-c", file]),
        ("flag", other, [run, "-c", file, *typed(name, other)]),
    ):
        facts = resolved(*arguments)
        origin = facts["sources"][name]["from"].removeprefix(f"{folder}/")
        found.append((how, value, facts["settings"][name], origin))
    return found


def table(groups: Sequence[type] = GROUPS) -> Iterator[str]:
    """The table's lines, of all settings or of some groups."""
    yield "| setting | default | in YAML | as a flag | takes effect |"
    yield "| --- | --- | --- | --- | --- |"
    with tempfile.TemporaryDirectory() as scratch:
        for group in groups:
            yield f"| **{title(group)}** | | | | |"
            for f in fields(group):
                rows = arrivals(f.name, Path(scratch) / f.name)
                good = all(value == came for _, value, came, _ in rows)
                cells = (
                    f"`{f.name}`",
                    _cell(default(f.name)),
                    _cell(yaml.safe_dump({f.name: OTHER[f.name]}, width=1000)),
                    _cell(" ".join(typed(f.name, OTHER[f.name]))),
                    "default, YAML, flag" if good else "**no**",
                )
                yield f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = " ".join(text.split()).replace("|", "\\|")
    return f"`{text[:57]}...`" if len(text) > 60 else f"`{text}`"


def main() -> None:
    """Write the table to the file that is named, or print it."""
    text = "\n".join(table()) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
