"""Which model this is, by content: a path or a Hub id can come to mean another one."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.engine.models import weights
from onlinedpo.engine.models.locating import locate
from onlinedpo.journal import disk
from onlinedpo.states.errors import UsageError

_WEIGHTS = (weights.PATTERN, "config.json", "*.py")
_WORDS = (
    *("tokenizer*", "*.jinja", "*.model", "*.tiktoken", "vocab.json", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template*"),
    # It names the ids that end a turn.
    "generation_config.json",
)
_VOCABULARIES = ("tokenizer.json", "*.model", "*.tiktoken", "vocab*", "*.py")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model on this disk: where it came from, what it is, and how it is used.

    `weights` and `tokenizer` are digests of its files.  `quantized` says to what its
    weights are rounded in memory; `chat_template` takes the place of its own.
    """

    id: str
    path: Path
    revision: str
    weights: str
    tokenizer: str
    quantized: str = ""
    chat_template: str = ""
    trusted: bool = False
    """Whether it may run code of its own."""

    def as_dict(self) -> dict[str, str]:
        """What the journal keeps of it."""
        whole = {
            "id": self.id,
            "revision": self.revision,
            "weights": self.weights,
            "tokenizer": self.tokenizer,
        }
        if self.quantized:
            whole["quantized"] = self.quantized
        if self.chat_template:
            digest = hashlib.sha256(self.chat_template.encode())
            whole["template"] = digest.hexdigest()
        return whole

    def is_of(self, other: ModelIdentity) -> bool:
        """Whether its files are those of another, wherever they lie."""
        return (self.weights, self.tokenizer) == (other.weights, other.tokenizer)


def identify(
    model: str,
    revision: str | None = None,
    *,
    quantized: str | None = None,
    chat_template: str | None = None,
    trusted: bool = False,
) -> ModelIdentity:
    """Find a model by local path or Hub id (downloading it) and digest its files.

    Raises `UsageError` if there is no such model, or if its files are not whole.
    """
    path = locate(model, revision)
    config_of(path)
    weights.tensors(path)
    _must_have_words(path)
    return ModelIdentity(
        id=model,
        path=path,
        # A Hub snapshot's folder is named by its commit.
        revision=path.name if path.parent.name == "snapshots" else "",
        weights=_digest(path, _WEIGHTS),
        tokenizer=_digest(path, _WORDS),
        quantized=quantized or "",
        chat_template=chat_template or "",
        trusted=trusted,
    )


def config_of(folder: Path) -> dict[str, Any]:
    """A model's config.json; raises `UsageError` if it has none that can be used."""
    file = folder / "config.json"
    if not file.is_file():
        hint = "Give a folder that holds an MLX model, or the id of one on the Hub."
        if (folder / "adapter_config.json").is_file():
            hint = (
                "It is an adapter: give --model its base, and"
                f" --resume-adapter-file {folder} to begin from it."
            )
        raise UsageError(
            f"the model '{folder}' could not be used: {folder} has no config.json",
            hint=hint,
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}",
            hint="Download or convert the model again.",
        ) from None
    if not isinstance(config, dict) or not config.get("model_type"):
        raise UsageError(
            f"{file} names no model_type",
            hint="Give a folder that holds an MLX model, or the id of one on the Hub.",
        )
    return config


def _must_have_words(folder: Path) -> None:
    """Without a vocabulary, transformers would make an empty one and say nothing."""
    if not any(next(folder.glob(pattern), None) for pattern in _VOCABULARIES):
        raise UsageError(
            f"the model in {folder} has no tokenizer (such as tokenizer.json)",
            hint="Copy it from the model that it was made from, or download it again.",
        )


def _digest(folder: Path, patterns: tuple[str, ...]) -> str:
    files = sorted({p for pattern in patterns for p in folder.glob(pattern)})
    files = [file for file in files if file.is_file()]
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(disk.file_digest, files))
    whole = hashlib.sha256()
    for file, digest in zip(files, digests, strict=True):
        whole.update(f"{file.name}\0{digest}\0".encode())
    return whole.hexdigest()
