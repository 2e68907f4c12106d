"""Toy models that tests build for themselves: real mlx-lm checkpoints, in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models import qwen3
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>")
EOS, PAD, BOS = 2, 0, 3
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def toy_model(
    folder: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    opinionated: bool = False,
    template: str = CHATML,
    eos: tuple[int, ...] = (EOS,),
) -> Path:
    """A random Qwen3 with a byte tokenizer (260 tokens), saved as mlx-lm loads it.

    An `opinionated` one has a head that answers a turn's start with A or B: as a judge
    it nearly always has a verdict (with no sense in it); what it writes is random.
    """
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rms_norm_eps": 1e-6,
        "vocab_size": 260,
        "max_position_embeddings": 4096,
        "rope_theta": 10000.0,
        "tie_word_embeddings": not opinionated,
        "eos_token_id": list(eos),
        "pad_token_id": PAD,
    }
    (folder / "config.json").write_text(json.dumps(config))
    mx.random.seed(seed)
    model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    weights: Any = tree_flatten(model.parameters())
    arrays = dict(weights)
    if opinionated:
        asked = mx.array([[1, *map(_token, "assistant"), _token("Ċ")]])
        state = model.model(asked)[0, -1]
        rows = mx.arange(260)[:, None]
        letters = (rows == _token("A")) | (rows == _token("B"))
        push = letters * state * (4.0 / (state * state).sum())
        arrays["lm_head.weight"] += push
    mx.eval(arrays)
    mx.save_safetensors(
        str(folder / "model.safetensors"), arrays, metadata={"format": "mlx"}
    )
    _tokenizer(folder, template)
    return folder


def prompts_file(path: Path, count: int = 12, *, held_out: int = 0) -> Path:
    """A folder with train.jsonl, and valid.jsonl if any are held out."""
    path.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"prompt": f"Question {i}?"}) for i in range(count + held_out)]
    (path / "train.jsonl").write_text("\n".join(rows[:count]) + "\n")
    if held_out:
        (path / "valid.jsonl").write_text("\n".join(rows[count:]) + "\n")
    return path


def toy_flags(
    folder: Path, prompts: int = 10, *, held_out: int = 0, **settings: object
) -> tuple[str, ...]:
    """A toy that judges itself, and prompts: flags of a run, `iters=3` as --iters 3.

    Of two flags the later one counts: `--judge human` after these asks people instead.
    """
    model = toy_model(folder / "model", opinionated=True)
    data = prompts_file(folder / "data", prompts, held_out=held_out)
    given = {
        "model": model,
        "judge": model,
        "data": data,
        "judge_orders": 1,
        **settings,
    }
    flags = ((f"--{name.replace('_', '-')}", str(given[name])) for name in given)
    return tuple(word for flag in flags for word in flag)


def _token(symbol: str) -> int:
    return len(SPECIALS) + _ALPHABET.index(symbol)


def _tokenizer(folder: Path, template: str) -> None:
    vocab = {token: i for i, token in enumerate([*SPECIALS, *_ALPHABET])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": "<|im_end|>",
                "pad_token": "<|endoftext|>",
                "bos_token": "<s>",
                "model_max_length": 4096,
                "chat_template": template,
            }
        )
    )
