"""Runs whose calls are made to fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from onlinedpo.journal import snapshot, writer
from tests.crash.io_errors.commands import command
from tests.crash.io_errors.failing import CTRL_C, NEVER, Nth
from tests.crash.io_errors.place import Place, Stopped
from tests.crash.power_cuts.hashed import numerics
from tests.journal.memory import in_memory

SETTINGS = (
    *("--model", "m", "--data", "d", "--judge", "human", "--val-prompts", "0"),
    *("--iters", "3", "--batch-size", "2", "--save-every", "1"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Runs that cost nothing: with hashes for models, and segments that are soon full.

    That syncs are made is seen without them: nobody waits for a drive.
    """
    with (
        in_memory(tmp_path_factory.mktemp("runs")) as folder,
        pytest.MonkeyPatch.context() as patch,
        numerics(),
    ):
        patch.setattr(writer, "SEGMENT_LIMIT", 3000)
        patch.setattr(snapshot, "WORTH", 2000)
        place = Place(folder, *SETTINGS)
        assert len(place.undisturbed.saved) == 6
        yield place


@pytest.fixture(scope="module", params=["answers wait", "a step is not committed"])
def stopped(request: pytest.FixtureRequest, place: Place) -> Stopped:
    """A run that was stopped, with a torn tail: its files are all to be read again."""
    all_calls = Nth(NEVER, "EIO")
    command("run", place.begin(), *place.settings, fault=all_calls)
    calls = [call for call, _ in all_calls.calls]
    if request.param == "answers wait":
        # The append of the second batch's answers, before their files are moved.
        done = [n for n, c in enumerate(calls) if c.to and c.to.parent.name == "done"]
        stop = max(n for n in range(done[2]) if _appends(calls[n]))
    else:
        last = next(n for n, c in enumerate(calls) if c.to and "step-000003" in str(c))
        stop = next(n for n in range(last, len(calls)) if _appends(calls[n]))
    ended = command("run", place.begin(), *place.settings, fault=Nth(stop + 1, CTRL_C))
    assert ended.code == 130
    kept = place.folder / f"stopped-{stop}"
    place.run.rename(kept)
    segment = max((kept / "journal").glob("*.odj"))
    with segment.open("ab") as file:
        file.write(b"half a frame")
    return Stopped(kept, ended)


def _appends(call: Any) -> bool:
    return bool(call.name == "write" and call.path.suffix == ".odj")
