"""The n-th call fails in runs that sample, judge and train on real, tiny models.

Once with a model as judge and once with a person who edits label files.  What they must
keep is what `test_io_errors.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Count
from tests.crash.io_errors.failing import CHANGES, EACH, Nth
from tests.crash.io_errors.place import Place
from tests.people.kit import in_a_hurry
from tests.toys import toy_flags

WAYS = {"a model": ("--steps-per-eval", "2"), "people": ("--judge", "human")}


@pytest.fixture(scope="module", params=WAYS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Real runs with a judge of each kind; nobody waits."""

    folder = tmp_path_factory.mktemp("real")
    settings = toy_flags(
        folder,
        prompts=8,
        held_out=2,
        iters=2,
        batch_size=2,
        max_completion_length=6,
        save_every=1,
        lora_parameters="{rank: 4, dropout: 0.0, scale: 2.0}",
    )
    with in_a_hurry():
        yield Place(folder, *settings, *WAYS[request.param])


def test_real_runs_go_on_after_a_call_that_failed(place: Place, count: Count) -> None:
    """At a few places, once and for good."""
    tried = place.sweep(Nth(n, "EIO") for n in EACH[22::80])
    tried += place.sweep(Nth(n, "ENOSPC", lasting=True) for n in EACH[30::80])
    assert tried >= 2
    count("failed calls in real runs", tried)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("how", CHANGES)
def test_real_runs_go_on_whatever_call_failed(
    how: str, lasting: bool, place: Place, count: Count
) -> None:
    """At each call in turn for EIO and ENOSPC, at every ninth for the others."""
    by = (3 if lasting else 1) if how in ("EIO", "ENOSPC") else 9
    tried = place.sweep(Nth(n, how, lasting) for n in EACH[::by])
    assert tried > 100 // by
    count("failed calls in real runs", tried)
