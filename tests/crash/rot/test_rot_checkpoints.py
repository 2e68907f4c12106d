"""A checkpoint of which any byte is not as it was: never used, and made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from onlinedpo.engine import checkpoint
from onlinedpo.engine.saving import publish
from onlinedpo.journal import manifest
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import AuditFailed
from tests.conftest import Count
from tests.engine.runs import Listener, Scripted, by_text, opened, state, trained
from tests.journal.rot import changes, cuts
from tests.toys import prompts_file, toy_model

FILES = (manifest.NAME, manifest.ADAPTER, manifest.OPTIMIZER)
NEWEST, OLDER = "checkpoints/step-000002", "checkpoints/step-000001"
TINY = {"rank": 1, "dropout": 0.0, "scale": 2.0, "keys": ["self_attn.q_proj"]}


@dataclass(frozen=True)
class Sound:
    """A run of two steps, each with a checkpoint of 1.6 kB, and how it ended."""

    run: Path
    state: str

    def copied(self, to: Path) -> Path:
        """A copy of the run, to do harm to."""
        shutil.rmtree(to, ignore_errors=True)
        return Path(shutil.copytree(self.run, to))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """The run, with the smallest adapter that there is."""
    place = tmp_path_factory.mktemp("sound")
    model = str(toy_model(place / "toy", layers=1))
    ended = trained(
        place / "run",
        Scripted(by_text),
        model=model,
        judge=model,
        data=str(prompts_file(place / "data", 6)),
        lora_parameters=TINY,
        num_layers=1,
        optimizer="sgd",
        iters=2,
        batch_size=2,
        max_completion_length=3,
    )
    return Sound(place / "run", ended)


def put(file: Path, data: bytes) -> None:
    """Let a file hold this: a new one, as the published adapter may link to it."""
    file.unlink()
    file.write_bytes(data)


def test_no_byte_of_a_checkpoint_can_change(
    sound: Sound, place: Path, count: Count
) -> None:
    """Every byte three ways, every length: it is not loaded."""
    tried = 0
    folder = sound.copied(place / "run") / NEWEST
    for name in FILES:
        whole = (folder / name).read_bytes()
        for data in (*changes(whole), *cuts(whole)):
            (folder / name).write_bytes(data)
            found = manifest.read(folder)
            assert found is None or checkpoint.load(found) is None, data
            tried += 1
        (folder / name).write_bytes(whole)
    found = manifest.read(folder)
    assert found and checkpoint.load(found)
    count("changed bytes of a checkpoint", tried)


def resumed(sound: Sound, run: Path, name: str, harms: Iterable[bytes]) -> int:
    """Take up a run whose newest checkpoint was harmed; how often that was tried.

    It is set aside as it is, that is told, and the run stands where it stood, with a
    sound checkpoint in its place.
    """
    tried = 0
    for data in harms:
        tried += 1
        sound.copied(run)
        put(run / NEWEST / name, data)
        watch = Listener()
        with opened(run, watch) as taken_up:
            assert state(taken_up) == sound.state
        (kept,) = (run / "quarantine").iterdir()
        assert (kept / name).read_bytes() == data
        assert watch.told("is not used") and watch.told(str(kept))
        assert watch.told("re-applying steps 2 to 2")
        made = manifest.read(run / NEWEST)
        assert made and checkpoint.load(made)
        assert audit(run).checkpoints.verified == [2, 1]
    return tried


@pytest.mark.parametrize("name", FILES)
def test_a_harmed_checkpoint_is_set_aside_and_made_again(
    sound: Sound, place: Path, name: str, count: Count
) -> None:
    """Some of them here; all of them in the slow tier."""
    whole = (sound.run / NEWEST / name).read_bytes()
    harms = [*list(changes(whole))[7::400], *list(cuts(whole))[1::250]]
    tried = resumed(sound, place / "run", name, harms)
    count("runs taken up with a harmed checkpoint", tried)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_whatever_byte_it_is_the_run_ends_equal(
    sound: Sound, place: Path, name: str, count: Count
) -> None:
    """Every byte, and every second length."""
    whole = (sound.run / NEWEST / name).read_bytes()
    flipped = changes(whole, lambda byte: [byte ^ (1 << byte % 8)])
    harms = [*flipped, *list(cuts(whole))[::2]]
    tried = resumed(sound, place / "run", name, harms)
    count("runs taken up with a harmed checkpoint", tried)


def test_the_published_adapter_is_put_right_too(sound: Sound, place: Path) -> None:
    """It is another name of the checkpoint's file, so both rot at once."""
    run = sound.copied(place / "run")
    published, file = run / "adapters" / manifest.ADAPTER, run / NEWEST
    whole = published.read_bytes()
    published.unlink()
    published.hardlink_to(file / manifest.ADAPTER)
    with published.open("r+b") as there:
        there.write(whole[:-9] + bytes([whole[-9] ^ 4]))
    with pytest.raises(AuditFailed):
        audit(run)
    with opened(run) as taken_up:
        publish(taken_up)
    assert published.read_bytes() == whole
    assert audit(run).checkpoints.adapter == 2


def test_both_checkpoints_may_be_harmed(sound: Sound, place: Path) -> None:
    """Then everything is made again from the base model and the journal."""
    for one in FILES:
        run = sound.copied(place / "run")
        for folder in (NEWEST, OLDER):
            data = (run / folder / one).read_bytes()
            put(run / folder / one, data[:90] + data[91:])
        watch = Listener()
        with opened(run, watch) as taken_up:
            assert state(taken_up) == sound.state
        assert watch.told("re-applying steps 1 to 2")
        assert len(list((run / "quarantine").iterdir())) == 2


def test_two_checkpoints_that_changed_places_are_not_used(
    sound: Sound, place: Path
) -> None:
    """Each is whole, but not what its folder's name says."""
    run = sound.copied(place / "run")
    (run / NEWEST).rename(run / "checkpoints/aside")
    (run / OLDER).rename(run / NEWEST)
    (run / "checkpoints/aside").rename(run / OLDER)
    assert manifest.find(run / "checkpoints")[0] == []
    with opened(run) as taken_up:
        assert state(taken_up) == sound.state
    assert len(list((run / "quarantine").iterdir())) == 2


@pytest.mark.parametrize("folder", [NEWEST, OLDER])
@pytest.mark.parametrize("name", FILES)
def test_an_audit_names_the_file(
    sound: Sound, place: Path, folder: str, name: str, count: Count
) -> None:
    """Also in the older one, which a resumed run does not look at."""
    run = sound.copied(place / "run")
    path = run / folder / name
    whole = path.read_bytes()
    harms = [*list(changes(whole))[::190], *list(cuts(whole))[::190]]
    for data in harms:
        put(path, data)
        with pytest.raises(AuditFailed) as caught:
            audit(run)
        assert f"{run / folder}" in str(caught.value)
        assert name == manifest.NAME or name in str(caught.value)
    put(path, whole)
    assert audit(run).checkpoints.verified == [2, 1]
    count("audits of a harmed checkpoint", len(harms))
