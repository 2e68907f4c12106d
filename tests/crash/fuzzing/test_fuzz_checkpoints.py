"""Hostile checkpoints and journals: an audit passes, or says by file what is wrong."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import manifest
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.manifest import ADAPTER, CONFIG, OPTIMIZER, Manifest
from onlinedpo.states.errors import JournalError, UsageError
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import MORE, of_trees, spoilt, ways
from tests.crash.fuzzing.fuzz_made import GOLDEN, HEADER, packed, safetensors, unpacked
from tests.journal import kit

MANIFESTS = {"quick": 400, "full": 3_000}
WEIGHTS = {"quick": 300, "full": 2_500}
AUDITS = {"quick": 15, "full": 1_000}


SOUND = {
    "step": 42,
    "state": "ab" * 32,
    "journal": {"frame": 7, "chain": "cd" * 32},
    "files": {ADAPTER: "ef" * 32, OPTIMIZER: "01" * 32},
}


def put(folder: Path, content: Any) -> Path:
    """A checkpoint's folder with this manifest, sealed as ours are."""
    path = folder / manifest.name_of(42)
    path.mkdir(exist_ok=True)
    (path / manifest.NAME).write_bytes(manifest.sealed(content))
    return path


@tiers
@ways
def test_manifests_changed_anyhow(
    way: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Also under a seal that holds: not a manifest, or one that can be used."""
    path = put(tmp_path, SOUND)

    def read(data: bytes) -> None:
        (path / manifest.NAME).write_bytes(data)
        found, damaged = manifest.find(tmp_path)
        if not found:
            assert damaged == [path]
            raise JournalError("no manifest")
        assert found[0].wrong_file() in (ADAPTER, OPTIMIZER)
        assert (type(found[0].frame), type(found[0].chain)) == (int, bytes)
        assert set(found[0].files) == {ADAPTER, OPTIMIZER}

    target = spoilt(
        *(way, "manifests", [SOUND], manifest.sealed),
        *(read, (JournalError,), MORE[:2]),
    )
    fuzz(target, MANIFESTS[tier], count)


@tiers
@ways
def test_weights_of_a_checkpoint_changed_anyhow(
    way: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """A digest of tensors whose bytes are all there, or a ValueError."""
    for name in (ADAPTER, OPTIMIZER):
        (tmp_path / name).write_bytes(safetensors(HEADER))
    checkpoint = Manifest(tmp_path, 1, "", 1, b"", {})

    def read(data: bytes) -> None:
        (tmp_path / OPTIMIZER).write_bytes(data)
        assert len(checkpoint.state_of_files()) == 64

    name = "weights of a checkpoint"
    target = spoilt(way, name, [HEADER], safetensors, read, (ValueError,))
    found = fuzz(target, WEIGHTS[tier], count)
    assert found.taken > 3


@tiers
@pytest.mark.parametrize("journal", ["hybrid", "offline", "rejudged", "salvaged"])
def test_audits_of_journals_changed_anyhow(
    journal: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Real runs with any value changed under a chain that holds: told by its frame."""
    frames, run = unpacked(GOLDEN / journal)
    folder = tmp_path / "journal"
    shutil.copytree(GOLDEN / journal, folder)
    change_values = of_trees()

    def change(chance: random.Random, tree: Any, pool: Sequence[Any]) -> Any:
        at = chance.randrange(len(frames))
        return [
            *frames[:at],
            change_values(chance, frames[at], pool),
            *frames[at + 1 :],
        ]

    def read(data: bytes) -> None:
        kit.put(folder, {"000001.odj": data})
        try:
            audit(tmp_path)
        except JournalError as error:
            assert str(tmp_path) in str(error)
            raise

    target = Target(
        f"audits of {journal}",
        [frames],
        change,
        read,
        (JournalError, UsageError),
        written=partial(packed, run=run),
    )
    read(target.written(frames))
    fuzz(target, AUDITS[tier], count)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"step":' * 100_000])
def test_what_is_nested_without_end_is_no_manifest(deep: bytes, tmp_path: Path) -> None:
    """Nor a header of weights, nor what stands beside an adapter."""
    path = put(tmp_path, SOUND)
    (path / manifest.NAME).write_bytes(deep)
    assert manifest.read(path) is None
    for name in (ADAPTER, OPTIMIZER):
        (path / name).write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(ValueError, match="not in the safetensors format"):
        Manifest(path, 1, "", 1, b"", {}).state_of_files()
    run = tmp_path / "run"
    shutil.copytree(GOLDEN / "killed", run / "journal")
    (run / "adapters").mkdir()
    (run / "adapters" / ADAPTER).write_bytes(b"")
    for beside in (deep, b'{"step": [1]}', b"[]", b"{}"):
        (run / "adapters" / CONFIG).write_bytes(beside)
        assert audit(run).checkpoints.adapter is None


@pytest.mark.parametrize(
    "files",
    [
        {"/dev/zero": "ef" * 32, ADAPTER: "ef" * 32},
        {"../../../etc/passwd": "ef" * 32, ADAPTER: "ef" * 32, OPTIMIZER: ""},
        {ADAPTER: "ef" * 32},
        {},
    ],
)
def test_a_manifest_names_its_own_two_files_only(
    files: dict[str, str], tmp_path: Path
) -> None:
    """Another name would be read: /dev/zero without end."""
    path = put(tmp_path, {**SOUND, "files": files})
    assert manifest.read(path) is None
    assert manifest.read(put(tmp_path, SOUND)) is not None


@pytest.mark.parametrize(
    "row",
    [
        {"dtype": "F32", "shape": [8], "data_offsets": []},
        {"dtype": "F32", "shape": [8], "data_offsets": [0, 10**30]},
        {"dtype": "F32", "shape": [8], "data_offsets": [-8, 8]},
        {"dtype": "F32", "shape": [8], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [8], "data_offsets": [0, 8.0]},
        {"dtype": ["F32"], "shape": [8], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 8, "data_offsets": [0, 8]},
        json.loads('{"dtype": "F32", "shape": [8], "data_offsets": "08"}'),
    ],
)
def test_a_tensor_whose_bytes_are_not_there_is_refused(
    row: dict[str, Any], tmp_path: Path
) -> None:
    """Some were an IndexError once, others a digest of other bytes."""
    for name in (ADAPTER, OPTIMIZER):
        (tmp_path / name).write_bytes(safetensors({"a": row}))
    with pytest.raises(ValueError, match="not in the safetensors format"):
        Manifest(tmp_path, 1, "", 1, b"", {}).state_of_files()
