"""Every setting of other trainers is known: their parsers and their defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.read import read

pytestmark = pytest.mark.interop


def unknown(values: dict[str, Any]) -> list[str]:
    """The keys that are no setting, not translated, and not told to be without use."""
    found = []
    for key, value in values.items():
        try:
            read({key: value}, "theirs")
        except UsageError as error:
            if str(error).startswith("unknown setting"):
                found.append(key)
    return found


def test_every_key_of_mlx_lm_lora_is_known() -> None:
    """All of its settings file, and all of its flags."""
    train = pytest.importorskip("mlx_lm_lora.train")
    online = {**train.CONFIG_DEFAULTS, "train_mode": "online_dpo"}
    flags = {a.dest: online.get(a.dest) for a in train.build_parser()._actions}
    del flags["help"]

    assert unknown(online) == []
    assert unknown(flags) == []
    assert read(online, "theirs").settings["lora_parameters"]["scale"] == 10.0


def test_every_key_of_its_trainer_is_known() -> None:
    """The arguments of OnlineDPOTrainingArgs, as notebooks give them."""
    trainer = pytest.importorskip("mlx_lm_lora.trainer.online_dpo_trainer")
    names = [f.name for f in fields(trainer.OnlineDPOTrainingArgs)]
    assert set(unknown(dict.fromkeys(names))) <= {"adapter_file"}


def test_what_trl_has_of_its_own_is_known() -> None:
    """OnlineDPOConfig's own fields; of transformers' hundred, those that people set."""
    trl = pytest.importorskip("trl.experimental.online_dpo")
    own = trl.OnlineDPOConfig.__annotations__
    assert unknown(dict.fromkeys(own)) == []
