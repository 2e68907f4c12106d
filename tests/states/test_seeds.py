"""Randomness is a function of what it is for."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from onlinedpo.states.seeds import derive, order

LINKS = Path(__file__).parents[1] / "links"


@pytest.mark.parametrize(
    ("purpose", "value"),
    [
        ((0,), 4_246_866_556_266_386_882),
        ((0, "draw", 0, 0, 0), 6_992_632_318_038_727_947),
        ((7, "draw", 2, 11, 1), 5_914_782_625_363_768_710),
        ((2**62, "order", 0, 3), 2_011_295_633_976_527_919),
    ],
)
def test_a_seed_never_changes(purpose: tuple[int, ...], value: int) -> None:
    """Part of the format: any version resumes a run with them (cf. `b2sum -l 64`)."""
    assert derive(*purpose) == value


def test_an_order_never_changes() -> None:
    """These orders are part of the format too."""
    assert order(0, 0, 8) == [7, 2, 0, 1, 6, 4, 3, 5]
    assert order(0, 1, 8) == [1, 2, 0, 3, 6, 5, 4, 7]
    assert order(1, 0, 8) == [1, 0, 7, 3, 2, 6, 4, 5]


def test_another_process_draws_the_same() -> None:
    """Nothing depends on the process, such as the salt of `hash`."""
    code = (
        "from onlinedpo.states.seeds import *; print(derive(3, 'x', 1), order(3, 1, 9))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(LINKS), "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for salt in ("1", "2")
    }
    assert printed == {f"{derive(3, 'x', 1)} {order(3, 1, 9)}"}


def test_each_purpose_has_a_seed_of_its_own() -> None:
    """20,000 purposes: no two alike, and all are what MLX takes as a seed."""
    seeds = {
        derive(seed, what, epoch, index)
        for seed, what, epoch, index in product(
            range(2), ("draw", "order"), range(10), range(500)
        )
    }
    assert len(seeds) == 2 * 2 * 10 * 500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62, "the high bits are used too"


def test_every_epoch_visits_every_prompt_once() -> None:
    """An epoch's order is a permutation, for each size."""
    for epoch, count in product(range(4), (0, 1, 2, 17, 300)):
        assert sorted(order(5, epoch, count)) == list(range(count))


def test_epochs_and_seeds_differ_in_their_order() -> None:
    """Ten epochs of two seeds: twenty orders, none of them the file's own."""
    orders = {tuple(order(seed, epoch, 40)) for seed in (0, 1) for epoch in range(10)}
    assert len(orders) == 20
    assert tuple(range(40)) not in orders


def test_no_prompt_has_a_fixed_place() -> None:
    """Over 400 epochs of 8 prompts each prompt comes first about 50 times."""
    first = [order(9, epoch, 8)[0] for epoch in range(400)]
    for prompt in range(8):
        assert 20 < first.count(prompt) < 80
