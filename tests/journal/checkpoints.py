"""Checkpoints without MLX: what is in their files does not matter here."""

from __future__ import annotations

import hashlib
from pathlib import Path

from onlinedpo.journal import manifest


def checkpoint(run: Path, step: int, frame: int, chain: bytes) -> Path:
    """A checkpoint whose files are sound, with the state that the journal says."""
    folder = run / "checkpoints" / manifest.name_of(step)
    folder.mkdir(parents=True)
    digests = {}
    for name in (manifest.ADAPTER, manifest.OPTIMIZER):
        data = f"{name} of step {step}".encode()
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    content = {
        "step": step,
        "state": f"s{step}",
        "journal": {"frame": frame, "chain": chain.hex()},
        "files": digests,
    }
    (folder / manifest.NAME).write_bytes(manifest.sealed(content))
    return folder
