"""Another model as reference: its own opinion, held in memory only if it is another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load

from onlinedpo.engine.fork import fork
from onlinedpo.engine.models import loading
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.engine.tensors import floats
from onlinedpo.engine.training.logps import Scorer, batch_of
from onlinedpo.states import seeds
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.records import HeldOut, RunOpened
from tests.engine.kit import some_pairs
from tests.engine.runs import Listener, go_on, opened, records, steps
from tests.engine.test_constancy import rewrite_weights
from tests.toys import toy_model


@pytest.fixture(scope="module")
def elder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same family and words, with other weights."""
    return toy_model(tmp_path_factory.mktemp("elder") / "model", seed=7)


def test_margins_are_taken_against_the_other_model(
    elder: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """They are the differences of plain log-probabilities under two plain models."""
    pairs = some_pairs(3)
    wanted = {**parts, "reference_model_path": str(elder), "batch_size": 3}
    with opened(tmp_path / "run", **wanted) as run:
        margins = run.learner.step(pairs, 1).margins
        beta = run.settings.beta

    def ratios(chosen: bool) -> list[float]:
        rows = [
            (p.sampled.prompt_tokens, p.sampled.side(side).tokens)
            for p in pairs
            for side in ("first", "second")
            if (side == p.label.chosen) is chosen
        ]
        plain: list[Any] = [load(m)[0] for m in (parts["model"], str(elder))]
        ours, theirs = (
            floats(Scorer(model).completion_logps(batch_of(rows))) for model in plain
        )
        return [a - b for a, b in zip(ours, theirs, strict=True)]

    expected = [
        beta * (c - r) for c, r in zip(ratios(True), ratios(False), strict=True)
    ]
    assert margins == pytest.approx(expected, abs=1e-4)
    assert any(margins)


def test_the_win_rate_is_taken_against_it(
    elder: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The held-out answers that the policy is compared with are the other model's."""
    more = {"val_prompts": 2, "steps_per_eval": 1, "iters": 1, "seed": 3}
    wanted = {**parts, **more, "reference_model_path": str(elder)}
    go_on(tmp_path / "run", **wanted)
    held_out = next(r for r in records(tmp_path / "run") if isinstance(r, HeldOut))

    with opened(tmp_path / "run") as run:
        model, tokenizer = load(str(elder))[:2]
        drawn = Sampler(model, tokenizer, run.settings).sample(
            [
                Request(
                    run.policy.encode(prompt),
                    [seeds.derive(3, "held-out", "reference", place)],
                )
                for place, prompt in enumerate(held_out.prompts)
            ]
        )
    assert [c.tokens for c in held_out.completions] == [c[0].tokens for c in drawn]


def test_such_a_run_resumes_forks_and_is_rebuilt_to_the_byte(
    elder: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The other model is loaded again; a fork keeps it and cannot change it."""
    wanted = {**parts, "reference_model_path": str(elder), "iters": 2}
    whole = go_on(tmp_path / "whole", **wanted)
    run = RunFolder(tmp_path / "run")
    go_on(run.path, Listener(stop_after=1), **wanted)

    assert go_on(run.path) == whole
    again = rebuild(run, tmp_path / "again", Listener(), to=None, model=None)
    assert again.first is None
    fork(run, RunFolder(tmp_path / "fork"), {"iters": 3}, at=1)
    go_on(tmp_path / "fork")
    assert len(steps(tmp_path / "fork")) == 3
    with pytest.raises(UsageError, match="cannot change reference_model_path"):
        fork(run, RunFolder(tmp_path / "other"), {"reference_model_path": None})


def test_a_changed_reference_is_noticed(parts: dict[str, Any], tmp_path: Path) -> None:
    """Its digest is in the journal; so is that there is one."""
    other = toy_model(tmp_path / "other", seed=8)
    go_on(tmp_path / "run", **parts, reference_model_path=str(other), iters=1)
    moved = other.rename(tmp_path / "moved")
    with opened(tmp_path / "run", reference_model_path=str(moved)):
        pass

    with pytest.raises(SettingsChanged, match=r"model changed .*reference"):
        go_on(tmp_path / "run", iters=2, reference_model_path=None)
    rewrite_weights(moved)
    with pytest.raises(SettingsChanged, match=r"model changed .*reference"):
        go_on(tmp_path / "run", iters=2, reference_model_path=str(moved))


def test_the_policys_own_base_as_reference_takes_no_second_copy(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Also a copy of it elsewhere, and beside an adapter that training begins from."""
    copy = toy_model(tmp_path / "copy")
    go_on(tmp_path / "sft", **parts, iters=1, learning_rate=0.02)
    wanted = {**parts, "reference_model_path": str(copy)}
    begun = {**wanted, "resume_adapter_file": str(tmp_path / "sft" / "adapters")}

    with opened(tmp_path / "run", **wanted) as run:
        assert run.policy.other is None
        assert set(run.learner.step(some_pairs(3), 1).margins) == {0.0}
    with opened(tmp_path / "begun", **begun) as run:
        assert run.policy.other is None
        assert set(run.learner.step(some_pairs(3), 1).margins) != {0.0}


def test_a_reference_with_other_words_is_refused(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Token ids would mean something else to it."""
    other = toy_model(tmp_path / "other", seed=8)
    file = other / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"]["AA"] = told["model"]["vocab"].pop("A")
    file.write_text(json.dumps(told))

    with (
        pytest.raises(UsageError, match="another vocabulary"),
        opened(tmp_path / "run", **parts, reference_model_path=str(other)),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_the_journal_says_which_reference_it_is(
    elder: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """By content, with the place that it came from."""
    go_on(tmp_path / "run", **parts, reference_model_path=str(elder), iters=1)
    opening = records(tmp_path / "run")[0]

    assert isinstance(opening, RunOpened)
    with opened(tmp_path / "run") as run:
        models = loading.find(run.settings)
    assert models.reference
    assert opening.model["reference"] == models.reference.weights
    assert opening.model["reference_id"] == str(elder)
