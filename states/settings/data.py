"""Settings of the prompts, and of pairs that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where prompts come from."""

    data: str = setting(
        "mlx-community/Human-Like-DPO",
        "Prompts: a JSONL, JSON, CSV, TSV, Parquet or TXT file, a folder with train and"
        " valid files, or a data set's id on the Hub.",
        resumable=True,
    )
    hf_dataset: dict[str, Any] | list[dict[str, Any]] | None = setting(
        None,
        "A data set of the Hub as mlx-lm takes it, or a list of them: path, name,"
        " config, train_split, valid_split, prompt_feature ...; replaces data; null:"
        " data.",
        resumable=True,
    )
    prompt_feature: str = setting(
        "prompt",
        "Column with the prompt: text or messages. A column that is renamed has to be"
        " there.",
        resumable=True,
    )
    chat_feature: str = setting(
        "messages",
        "Column with a conversation, used up to its last user turn, where there is no"
        " prompt column.",
        resumable=True,
    )
    system_feature: str = setting(
        "system",
        "Column with a system message, put before a prompt that has none of its own.",
        resumable=True,
    )
    chosen_feature: str = setting(
        "chosen", "Column with the better completion of offline pairs.", resumable=True
    )
    rejected_feature: str = setting(
        "rejected", "Column with the worse one.", resumable=True
    )
    offline_pairs: str | None = setting(
        None,
        "Train on the preference pairs of this file or data set instead of sampling"
        " fresh ones: plain DPO, for comparison; null: online.",
        resumable=True,
    )
    val_prompts: int = setting(
        64,
        "Held-out prompts that the win rate is taken on, at most; without a valid split"
        " a tenth of the prompts at most; 0: none.",
        low=0,
    )
    max_seq_length: int = setting(
        2048, "Tokens in prompt and completion at most; longer prompts drop out.", low=2
    )
