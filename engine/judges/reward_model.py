"""A scalar reward model: an mlx-lm backbone with a score head instead of an LM head.

Checkpoints are those of transformers' `...ForSequenceClassification` with one label
(InstructGPT, Ouyang et al. 2022, section 3.5): the score is a linear map of the last
token's hidden state, after the final norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

# There is no public way to the class of an architecture.
from mlx_lm.utils import _get_classes, load_model

from onlinedpo.engine.environment import on_cpu
from onlinedpo.engine.models import rotary
from onlinedpo.engine.models.identity import ModelIdentity, config_of
from onlinedpo.states.errors import UsageError

HEADS = ("score", "classifier")
"""Names that the head goes by."""
_TOLD = 200
"""Characters of an error: of a model that does not fit it may name every weight."""


def load(identity: ModelIdentity) -> nn.Module:
    """The backbone, with its head as `score`, wholly in memory; raises `UsageError`."""
    try:
        model, _ = load_model(
            identity.path,
            lazy=True,
            model_config=rotary.spelled_out(config_of(identity.path)),
            get_model_classes=_with_score,
            trust_remote_code=identity.trusted,
        )
        # Head and body may not fit each other.
        mx.eval(scores(model, [[0]]))
    except _NoRewardModel as error:
        raise UsageError(
            f"'{identity.id}' is no reward model: {error}",
            hint="Give a model for sequence classification with one label, as TRL's"
            " RewardTrainer makes them; or leave 'reward:' out to ask it as a judge.",
        ) from error
    except Exception as error:  # It reads anybody's files, and raises anything.
        told = " ".join(str(error).split())[:_TOLD] or type(error).__name__
        raise UsageError(
            f"the reward model '{identity.id}' could not be loaded: {told}",
            hint="Its backbone must be a model that mlx-lm can load.",
        ) from error
    if on_cpu():
        model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    return model


def scores(model: nn.Module, rows: Sequence[Sequence[int]]) -> mx.array:
    """The score of each row of token ids, read at its last one; (B,) float32."""
    width = max(map(len, rows))
    # Padding stands on the right, where no token that counts can see it.
    tokens = mx.array([[*row, *[0] * (width - len(row))] for row in rows], mx.int32)
    last = mx.array([[[len(row) - 1]] for row in rows], mx.int32)
    states = mx.take_along_axis(model.model(tokens), last, axis=1)[:, 0]
    found: mx.array = model.score(states)[:, 0].astype(mx.float32)
    return found


class _NoRewardModel(Exception):
    """The checkpoint is of something else."""


def _with_score(config: dict[str, Any]) -> tuple[type[nn.Module], type]:
    """The architecture of a checkpoint, with a score head in the LM head's place."""
    architecture, arguments = _get_classes(config)

    class WithScore(architecture):  # type: ignore[misc, valid-type]
        """The same with a score head."""

        def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
            """The weights as the architecture names them; its parts as they are."""
            head = _head(weights)
            rest = {k: v for k, v in weights.items() if k.split(".")[0] not in HEADS}
            if hasattr(super(), "sanitize"):
                rest = super().sanitize(rest)
            if "model" not in self:
                raise _NoRewardModel(f"{config.get('model_type')} is not known as one")
            self.pop("lm_head", None)
            self.score = nn.Linear(head["weight"].shape[-1], 1, bias="bias" in head)
            rest = {k: v for k, v in rest.items() if not k.startswith("lm_head.")}
            return rest | {f"score.{name}": value for name, value in head.items()}

    return WithScore, arguments


def _head(weights: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The score head's own weights, by name; raises `_NoRewardModel`."""
    for name in HEADS:
        found = {
            key.removeprefix(f"{name}."): value
            for key, value in weights.items()
            if key.startswith(f"{name}.")
        }
        if not found:
            continue
        if not {"weight"} <= found.keys() <= {"weight", "bias"}:
            raise _NoRewardModel(
                f"its head '{name}' has the parts {', '.join(sorted(found))}, and is"
                " not one linear map"
            )
        if len(found["weight"]) != 1:
            raise _NoRewardModel(
                f"its head gives {len(found['weight'])} scores for a text, and not one"
            )
        return found
    raise _NoRewardModel("it has no score head (score.weight)")
