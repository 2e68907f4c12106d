"""The published adapter is an ordinary one: mlx-lm's programs take it (promise 8)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load

from onlinedpo.engine.loop import run as train_whole
from onlinedpo.engine.loop import train
from onlinedpo.engine.models import export
from onlinedpo.states.errors import UsageError
from tests.engine.kit import LORA, WAYS
from tests.engine.runs import SMALL, Listener, Scripted, by_text, opened

ASKED = mx.array([[3, 50, 60, 70, 80, 2, 90]])


@pytest.fixture(scope="module", params=WAYS)
def published(
    request: pytest.FixtureRequest,
    toy: Path,
    data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any]:
    """A finished run, and its policy's logits on a question."""
    way: str = request.param
    folder = tmp_path_factory.mktemp(way) / "run"
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    with opened(folder, **parts, fine_tune_type=way, learning_rate=0.02) as run:
        run.judge = Scripted(by_text)
        train(run)
        return folder, np.array(run.policy.model(ASKED))


def mlx_lm(program: str, *arguments: str | Path) -> str:
    """Run one of mlx-lm's programs as a user does; its output."""
    ended = subprocess.run(
        [sys.executable, "-m", f"mlx_lm.{program}", *map(str, arguments)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_mlx_lm_loads_the_adapter(published: tuple[Path, Any], toy: Path) -> None:
    """With it, the base model is the policy, to the bit; without, it is not."""
    run, logits = published
    adapted: Any = load(str(toy), adapter_path=str(run / "adapters"))[0]
    plain: Any = load(str(toy))[0]
    # As mlx-lm's generate has it.
    adapted.eval()

    np.testing.assert_array_equal(np.array(adapted(ASKED)), logits)
    assert np.abs(np.array(plain(ASKED)) - logits).max() > 0.01


def test_the_adapter_says_what_it_is(published: tuple[Path, Any], toy: Path) -> None:
    """What mlx-lm reads, and what people want to know."""
    run, _ = published
    config = json.loads((run / "adapters" / "adapter_config.json").read_text())

    settings = {"model": str(toy), "num_layers": -1, "seed": 0, "beta": 0.1, "step": 3}
    assert settings.items() <= config.items()
    assert config["fine_tune_type"] in WAYS
    wanted = None if config["fine_tune_type"] == "full" else LORA
    assert config["lora_parameters"] == wanted
    files = sorted(path.name for path in (run / "adapters").iterdir())
    assert files == ["adapter_config.json", "adapters.safetensors"]


def test_mlx_lm_fuse_and_generate_take_the_adapter(
    published: tuple[Path, Any], toy: Path, tmp_path: Path
) -> None:
    """Two real processes; the fused model is the policy, up to rounding."""
    run, logits = published
    adapter = ("--model", toy, "--adapter-path", run / "adapters")

    said = mlx_lm("generate", *adapter, "--prompt", "Why?", "--max-tokens", "4")
    mlx_lm("fuse", *adapter, "--save-path", tmp_path / "fused")

    assert "Generation: 4 tokens" in said
    fused: Any = load(str(tmp_path / "fused"))[0]
    np.testing.assert_allclose(np.array(fused(ASKED)), logits, atol=1e-5)


def test_another_place_for_the_adapter(toy: Path, data: Path, tmp_path: Path) -> None:
    """adapter_path is where it goes, and what lies there already stays."""
    target = tmp_path / "mine"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}

    with opened(tmp_path / "run", **parts, iters=1, adapter_path=str(target)) as run:
        run.judge = Scripted(by_text)
        train(run)

    names = {path.name for path in target.iterdir()}
    assert names == {"adapter_config.json", "adapters.safetensors", "notes.txt"}
    assert not (tmp_path / "run" / "adapters").exists()


def test_a_lost_adapters_folder_is_made_again(
    published: tuple[Path, Any], tmp_path: Path
) -> None:
    """It is a cache: at the next start it is there again, the same."""
    run = Path(shutil.copytree(published[0], tmp_path / "run"))
    file = run / "adapters" / "adapters.safetensors"
    octets = file.read_bytes()
    shutil.rmtree(run / "adapters")

    train_whole(run, {}, Listener())

    assert file.read_bytes() == octets


def test_an_adapter_overwritten_in_place_does_not_spoil_the_checkpoint(
    published: tuple[Path, Any], tmp_path: Path
) -> None:
    """The two may be one file on the disk: damage to it is noticed and made good."""
    run = Path(shutil.copytree(published[0], tmp_path / "run"))
    with opened(run) as taken_up:
        wanted = dict(taken_up.policy.trainable())
    train_whole(run, {}, Listener())
    with (run / "adapters" / "adapters.safetensors").open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"overrun!")
    watch = Listener()

    train_whole(run, {}, watch)

    published_now: Any = mx.load(str(run / "adapters" / "adapters.safetensors"))
    for name, value in wanted.items():
        np.testing.assert_array_equal(np.array(published_now[name]), np.array(value))


def test_no_adapter_is_published_before_the_first_step(
    toy: Path, data: Path, tmp_path: Path
) -> None:
    """A run that was stopped at once has none, and says no nonsense."""
    wanted = {**SMALL, "model": str(toy), "judge": str(toy), "data": str(data)}

    ledger = train_whole(tmp_path / "run", wanted, Listener(stop_after=0))

    assert ledger.steps == 0
    assert not (tmp_path / "run" / "adapters").exists()


def test_a_new_run_does_not_write_over_another_programs_adapter(
    tmp_path: Path,
) -> None:
    """adapter_path may hold nothing, or an adapter that this program made."""
    export.must_be_free(None)
    export.must_be_free(str(tmp_path / "nothing"))
    (tmp_path / "adapters.safetensors").write_bytes(b"theirs")
    for config in (None, b"{", b"[]", b'{"fine_tune_type": "lora"}'):
        if config is not None:
            (tmp_path / "adapter_config.json").write_bytes(config)
        with pytest.raises(UsageError, match="another program's adapter"):
            export.must_be_free(str(tmp_path))
    (tmp_path / "adapter_config.json").write_bytes(b'{"trained_by": "onlinedpo"}')
    export.must_be_free(str(tmp_path))
