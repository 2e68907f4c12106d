"""Randomness as a function of what it is for, so that none has to be saved."""

from __future__ import annotations

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose: BLAKE2b of the run's seed and the purpose.

    `derive(0, "draw", epoch, prompt, k)` is the same in every process and at any time.
    """
    name = "/".join(map(str, (seed, *purpose))).encode()
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def order(seed: int, epoch: int, count: int) -> list[int]:
    """The order in which an epoch visits `count` prompts: each of them once."""
    return sorted(range(count), key=lambda i: derive(seed, "order", epoch, i))


def chance(seed: int, *purpose: str | int) -> float:
    """A number in [0, 1) for one purpose."""
    return derive(seed, *purpose) / 2**63
