"""Where a model lies: a folder here, or a copy of one on the Hub."""

from __future__ import annotations

import difflib
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from mlx_lm.utils import DEFAULT_ALLOW_PATTERNS

from onlinedpo.states.errors import UsageError

_ANY = "Give a folder that holds an MLX model, or the id of one on the Hub."


def locate(model: str, revision: str | None = None) -> Path:
    """The folder of a model by local path or Hub id, which is downloaded.

    `revision` is a commit, branch or tag on the Hub; a folder has none.
    Raises `UsageError`, naming what was tried.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise _is_a_file(path)
    if _is_a_path(model):
        raise UsageError(
            f"the model '{model}' could not be found: there is no such folder",
            hint=_meant(path) or _ANY,
        )
    return _download(model, revision)


def _download(model: str, revision: str | None) -> Path:
    tried, hint = "there is no folder of that name, and", _ANY
    try:
        return Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=[*DEFAULT_ALLOW_PATTERNS, "*.model"],
            )
        )
    except RevisionNotFoundError:
        told = f"on the Hub it has no revision '{revision}'"
        hint = "Give a commit, branch or tag that its page on the Hub shows."
    except GatedRepoError:
        told = "on the Hub it is only for those who accepted its terms"
        hint = "Accept them on its page there, then log in: hf auth login."
    except RepositoryNotFoundError:
        told = f"{tried} no such model on the Hub, or a private one"
        hint = _meant(Path(model)) or (
            "Check the spelling; for a private one log in: hf auth login."
        )
    except HFValidationError:
        told = f"{tried} this is no Hub id"
        hint = _meant(Path(model)) or _ANY
    except Exception as error:  # Of many kinds: no network, a proxy, a full disk.
        told = f"{tried} the Hub could not be asked ({_line(error)})"
        hint = _meant(Path(model)) or (
            "Give a folder, or try again with a network; what was downloaded before is"
            " found without one."
        )
    raise UsageError(f"the model '{model}' could not be found: {told}", hint=hint)


def _is_a_path(model: str) -> bool:
    """Whether it can only be meant as a path: a Hub id is NAME or OWNER/NAME."""
    return model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1


def _meant(path: Path) -> str:
    """A folder beside it that bears nearly the same name, as a hint."""
    try:
        names = [p.name for p in path.expanduser().parent.iterdir() if p.is_dir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean '{path.with_name(near[0])}'?" if near else ""


def _is_a_file(path: Path) -> UsageError:
    hint = f"Give the folder that it lies in: {path.parent}"
    what = "a file, and not a model's folder"
    if path.suffix == ".gguf":
        what = "a GGUF file, which mlx-lm cannot train"
        hint = "Give the model that it was made from, as a folder or Hub id."
    return UsageError(f"the model '{path}' could not be used: it is {what}", hint=hint)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
