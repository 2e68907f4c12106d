"""What a checkpoint says of itself: taken if it is of one piece and says no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import manifest
from onlinedpo.journal.manifest import ADAPTER, NAME, OPTIMIZER
from tests.journal.checkpoints import checkpoint

Content = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of step 3 with a sound manifest; its files are no safetensors."""
    return checkpoint(tmp_path, 3, 12, b"c" * 32)


def sealed(folder: Path, change: Callable[[Content], object]) -> None:
    """Change what a manifest says, and seal it anew, as anyone can."""
    content = json.loads((folder / NAME).read_bytes())
    del content["sha256"]
    change(content)
    (folder / NAME).write_bytes(manifest.sealed(content))


def test_a_sound_one_is_read_whatever_else_lies_there(folder: Path) -> None:
    """Folders without a manifest, and other files, are no checkpoints."""
    (folder / "notes.txt").write_text("?")
    (folder.parent / "step-000004").mkdir()
    (folder.parent / "step-000005").write_text("a file")
    sound, damaged = manifest.find(folder.parent)
    assert [found.step for found in sound] == [3]
    assert [path.name for path in damaged] == ["step-000005", "step-000004"]
    assert sound[0].wrong_file() == ""


def test_one_that_cannot_be_read_is_neither_sound_nor_damaged(folder: Path) -> None:
    """A drive that fails says nothing of what is in a file: it is told, or raised."""
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(folder / NAME)
    with pytest.raises(OSError, match="symbolic links"):
        manifest.find(folder.parent)
    told: list[OSError] = []
    assert manifest.find(folder.parent, told.append) == ([], [])
    assert len(told) == 1


CHANGES: list[Callable[[Content], object]] = [
    lambda content: content.update(step=True),
    lambda content: content.update(step=3.0),
    lambda content: content.update(step="000003"),
    lambda content: content.update(step=4),
    lambda content: content.update(state=None),
    lambda content: content.update(state=["s3"]),
    lambda content: content.update(journal=[12, "00"]),
    lambda content: content["journal"].update(frame="12"),
    lambda content: content["journal"].update(frame=None),
    lambda content: content["journal"].update(chain=7),
    lambda content: content["journal"].update(chain="no digits"),
    lambda content: content["journal"].pop("chain"),
    lambda content: content.update(files=[]),
    lambda content: content.update(files={}),
    lambda content: content["files"].pop(OPTIMIZER),
    lambda content: content["files"].update({"../../../secret": "00"}),
    lambda content: content["files"].update({"a\0b": "00"}),
    lambda content: content.pop("files"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_one_that_was_sealed_anew_must_still_say_what_a_checkpoint_says(
    folder: Path, change: Callable[[Content], object]
) -> None:
    """Of other types, without a part, or with files that are none of its own."""
    sealed(folder, change)
    assert manifest.read(folder) is None
    assert manifest.find(folder.parent) == ([], [folder])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"step": ' + b"9" * 5000 + b"}",
        b'{"step": Infinity, "sha256": ""}',
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_manifest_is_damaged(folder: Path, data: bytes) -> None:
    """However deep, long or odd."""
    (folder / NAME).write_bytes(data)
    assert manifest.read(folder) is None


# -- the files --------------------------------------------------------------------


def safetensors(header: bytes, body: bytes = b"") -> bytes:
    """A file in the safetensors format, if its header is one."""
    return len(header).to_bytes(8, "little") + header + body


def tensor(**changed: Any) -> bytes:
    """A header with one tensor of two numbers."""
    row = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changed
    return json.dumps({"__metadata__": {"format": "mlx"}, "w": row}).encode()


def test_the_digest_of_all_tensors_is_taken_without_mlx(folder: Path) -> None:
    """Over name, type, shape and bytes, in the order of names; empty ones too."""
    body = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    (folder / ADAPTER).write_bytes(safetensors(tensor(), body))
    empty = tensor(shape=[0], data_offsets=[0, 0])
    (folder / OPTIMIZER).write_bytes(safetensors(empty))
    (found,), _ = manifest.find(folder.parent)
    told = b"adapter/w\0mlx.core.float32\0(2,)\0" + body
    told += b"optimizer/w\0mlx.core.float32\0(0,)\0"
    assert found.state_of_files() == hashlib.sha256(told).hexdigest()


OFFSETS: list[Any] = [
    *([], [0], [0, 8, 8], [8, 0], [-8, 8], [0, 9], [0, 1 << 70], ["0", "8"]),
    *([0.0, 8.0], [0, 8.0], [0, True], [None, None], 8, {}),
]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\xff" * 8,
        b"\xff" * 80,
        safetensors(b"[]"),
        safetensors(b"\xff\xff"),
        safetensors(b"[" * 100_000),
        safetensors(b'{"w": 3}'),
        safetensors(b'{"w": {}}'),
        *(safetensors(tensor(data_offsets=offsets), bytes(8)) for offsets in OFFSETS),
        safetensors(tensor(dtype="F8_E4M3"), bytes(8)),
        safetensors(tensor(dtype=["F32"]), bytes(8)),
        safetensors(tensor(shape=2), bytes(8)),
    ],
    ids=lambda data: repr(data[8:70])[:60],
)
def test_a_file_that_is_in_no_such_format_is_told(folder: Path, data: bytes) -> None:
    """A ValueError that names it: no other error, and no bytes that are not there."""
    (folder / OPTIMIZER).write_bytes(safetensors(tensor(), bytes(8)))
    (folder / ADAPTER).write_bytes(data)
    (found,), _ = manifest.find(folder.parent)
    with pytest.raises(ValueError, match=f"{ADAPTER} is not in the safetensors format"):
        found.state_of_files()


def test_a_file_that_is_missing_is_wrong(folder: Path) -> None:
    """So is one in whose place a folder stands."""
    (found,), _ = manifest.find(folder.parent)
    (folder / ADAPTER).unlink()
    assert found.wrong_file() == ADAPTER
    (folder / ADAPTER).mkdir()
    assert found.wrong_file() == ADAPTER
