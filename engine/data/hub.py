"""Data sets of the Hub, or saved to disk, through `datasets`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from onlinedpo.states.errors import UsageError

Splits: TypeAlias = Mapping[str, Any]
Block: TypeAlias = Mapping[str, Any]
"""Of `hf_dataset`: see `states.settings.hub_blocks`."""


def load(name: str) -> Splits:
    """All splits of a data set of the Hub; raises `UsageError`."""
    _offline_at_once(name)
    found: Splits = _loaded(name, lambda datasets: datasets.load_dataset(name))
    return found


def split(block: Block, which: str) -> Any:
    """One split, or a slice such as `train[:80%]`, of what a block names."""
    name = block["path"]
    _offline_at_once(name)
    return _loaded(
        name,
        lambda datasets: datasets.load_dataset(name, split=which, **block["config"]),
    )


def saved(folder: Path) -> Splits:
    """What `datasets` saved to disk: its splits, or the one that there is."""
    found = _loaded(str(folder), lambda datasets: datasets.load_from_disk(str(folder)))
    return found if isinstance(found, Mapping) else {"train": found}


def _loaded(name: str, load: Callable[[Any], Any]) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        return load(datasets)
    except ConnectionError as error:
        raise UsageError(
            f"the data set '{name}' cannot be loaded: the Hub cannot be reached",
            hint="There is no file or folder of this name either. Files, and data sets"
            " that were loaded before, need no network.",
        ) from error
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UsageError(
            f"there is no data set '{name}' on the Hub, or none for you, and no file or"
            " folder of this name",
            hint="Give a file, a folder with train.jsonl in it, or a data set's"
            " id. For a private or gated one: hf auth login.",
        ) from error
    except Exception as error:
        # What could not be read is told by the cause.
        generating = isinstance(error, datasets.exceptions.DatasetGenerationError)
        told = (generating and error.__cause__) or error
        reason = " ".join(str(told).split())[:300] or type(told).__name__
        raise UsageError(
            f"the data set '{name}' cannot be loaded: {reason}",
            hint="hf_dataset takes path, name, revision, train_split and valid_split.",
        ) from error


def _offline_at_once(name: str) -> None:
    """Where the Hub cannot be reached, let `datasets` look on the disk only.

    Else it tries for half a minute, and says so in many lines.
    """
    import datasets
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    if Path(name).exists():
        return
    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=10)
    except HfHubHTTPError:
        pass
    except Exception:
        datasets.config.HF_HUB_OFFLINE = True
