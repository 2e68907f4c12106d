"""Which model this is, by content: a path or a Hub id can come to mean another one."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from onlinedpo.journal import disk
from onlinedpo.states.errors import UsageError

_WANTED = ["*.json", "*.safetensors", "*.py", "*.txt", "*.jinja", "*.model"]
_WEIGHTS = ("*.safetensors", "config.json")
_WORDS = ("tokenizer*", "*.jinja", "*.model", "vocab.json", "merges.txt")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model on this disk: where it came from, and the digest of what it is."""

    id: str
    path: Path
    revision: str
    weights: str
    tokenizer: str

    def as_dict(self) -> dict[str, str]:
        """What the journal keeps of it."""
        return {
            "id": self.id,
            "revision": self.revision,
            "weights": self.weights,
            "tokenizer": self.tokenizer,
        }


def identify(model: str) -> ModelIdentity:
    """Find a model by local path or Hub id (downloading it) and digest its files.

    Raises `UsageError` if there is no such model.
    """
    try:
        path = Path(model)
        if not path.exists():
            path = Path(snapshot_download(model, allow_patterns=_WANTED))
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"the model '{model}' could not be found: {first_line}",
            hint="Give a folder that holds an MLX model, or the id of one on the Hub.",
        ) from error
    if not (path / "config.json").is_file():
        raise UsageError(
            f"the model '{model}' could not be used: {path} has no config.json",
            hint="Give a folder that holds an MLX model, or the id of one on the Hub.",
        )
    return ModelIdentity(
        id=model,
        path=path,
        # A Hub snapshot's folder is named by its commit.
        revision=path.name if path.parent.name == "snapshots" else "",
        weights=_digest(path, _WEIGHTS),
        tokenizer=_digest(path, _WORDS),
    )


def _digest(folder: Path, patterns: tuple[str, ...]) -> str:
    files = sorted({p for pattern in patterns for p in folder.glob(pattern)})
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(disk.file_digest, files))
    whole = hashlib.sha256()
    for file, digest in zip(files, digests, strict=True):
        whole.update(f"{file.name}\0{digest}\0".encode())
    return whole.hexdigest()
