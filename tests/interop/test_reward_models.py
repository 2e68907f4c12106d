"""Reward models that transformers saves: our scores are its logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onlinedpo.engine.judges import reward_model
from onlinedpo.engine.models.identity import ModelIdentity

pytestmark = pytest.mark.interop

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "num_labels": 1,
}
ROWS = [[1, 5, 6, 7, 200, 9], [1, 5, 6, 8], [1, *range(100, 130), 2]]


@pytest.mark.parametrize("theta", [10000.0, 500000.0])
@pytest.mark.parametrize(
    "name", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Olmo2", "Phi3"]
)
def test_scores_are_the_logits_of_transformers(
    name: str, theta: float, tmp_path: Path
) -> None:
    """Of sequence-classification models with one label, all rows in one batch."""
    import torch
    import transformers

    more = {"head_dim": 16} if name in ("Qwen3", "Gemma2") else {}
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    config = getattr(transformers, f"{name}Config")(**SIZES, **more, **rope)
    torch.manual_seed(0)
    made_of: Any = transformers.AutoModelForSequenceClassification
    model = made_of.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(1.0 if weight.ndim == 1 else 0.0, 0.2)
        model = model.float().eval()
        logits = [model(torch.tensor([row])).logits.item() for row in ROWS]
    model.save_pretrained(tmp_path)

    # Of a model without a tokenizer.
    known = ModelIdentity("toy", tmp_path, revision="", weights="", tokenizer="")
    ours = reward_model.scores(reward_model.load(known), ROWS)

    assert np.allclose(np.array(ours), logits, atol=1e-4)
    assert len({round(score, 2) for score in logits}) == len(ROWS)
