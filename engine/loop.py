"""The loop: start reading here.

Every decision depends on the journal alone, so it is the same after a restart.  Each
operation ends with an append to the journal, and that append moves the prompts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import mlx.core as mx

from onlinedpo.engine import checkpoint, evaluate, export, metrics
from onlinedpo.engine.judge import Comparison
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.prompts import encode
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.sampler import Request
from onlinedpo.engine.start import Run, open_run
from onlinedpo.states import seeds
from onlinedpo.states.errors import NothingToLearn, UsageError
from onlinedpo.states.labelling import decide, screen
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import (
    Dropped,
    HeldOut,
    Reason,
    Record,
    Sampled,
    Step,
    Submitted,
)

FRUITLESS_ROUNDS = 20
"""Rounds in a row without one label after which the run says so and ends."""

CHECKPOINT_SHARE = 0.02
"""Share of the time that checkpoints may take, unless save_every says otherwise."""


def run(path: Path, wanted: Mapping[str, Any], watch: Observer) -> Ledger:
    """Train until `iters` steps are applied, or until `watch` asks to stop.

    Begins the run in `path`, or takes it up where it stands; raises `OnlineDPOError`.
    """
    run = open_run(RunFolder(path), wanted, watch)
    ledger, settings, clock = run.ledger, run.settings, Clock()
    with run.journal:
        publish(run)
        while not watch.asked_to_stop():
            if evaluation_is_due(run):
                take_win_rate(run)
            elif ledger.steps >= settings.iters:
                break
            elif pairs := ledger.batch(settings.pairs_per_step):
                apply(run, pairs, clock)
            elif asked := ledger.pairs(Phase.JUDGING):
                judge(run, asked, clock)
            elif fresh := ledger.pairs(Phase.SAMPLED):
                submit(run, fresh)
            else:
                sample(run, clock)
    return ledger


@dataclass(slots=True)
class Clock:
    """Seconds by what they were spent on, since the last step; and checkpoint costs."""

    seconds: dict[str, float] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.perf_counter)
    save_cost: float = 0.0
    fruitless: int = 0

    def spent(self, on: str, since: float) -> None:
        """Add the time since `since` to an account."""
        spent = time.perf_counter() - since
        self.seconds[on] = self.seconds.get(on, 0.0) + spent


def sample(run: Run, clock: Clock) -> None:
    """Draw two completions for each of the next prompts from the current policy."""
    began = time.perf_counter()
    ledger, settings = run.ledger, run.settings
    clock.fruitless += 1
    if clock.fruitless > FRUITLESS_ROUNDS:
        raise _nothing_to_learn(ledger)
    run.watch.doing(f"sampling {settings.pairs_per_step} prompts", ledger)
    batch: list[Record] = []
    drawn: list[tuple[int, int, int, Request]] = []
    ticket = ledger.next_ticket
    while len(drawn) < settings.pairs_per_step:
        epoch, index = run.order.place(ticket)
        prompt = encode(run.policy.tokenizer, run.prompts.train[index])
        if run.sampler.fits(prompt):
            keys = [
                seeds.derive(settings.seed, "draw", epoch, index, k) for k in (0, 1)
            ]
            drawn.append((ticket, epoch, index, Request(prompt, keys)))
        else:
            batch.append(_too_long(ticket, len(prompt), settings.max_seq_length))
            if not drawn and len(batch) >= len(run.prompts.train):
                raise _no_prompt_fits(settings.max_seq_length)
        ticket += 1
    for start in range(0, len(drawn), settings.batch_size):
        part = drawn[start : start + settings.batch_size]
        completions = run.sampler.sample([request for *_, request in part])
        for (ticket, epoch, index, request), (first, second) in zip(
            part, completions, strict=True
        ):
            batch.append(
                Sampled(
                    ticket=ticket,
                    epoch=epoch,
                    prompt=index,
                    messages=run.prompts.train[index],
                    prompt_tokens=tuple(request.prompt),
                    first=first,
                    second=second,
                    step=ledger.steps,
                    time=time.time(),
                )
            )
    clock.spent("sample", began)
    run.journal.append(sorted(batch, key=_ticket))


def submit(run: Run, fresh: list[Sampled]) -> None:
    """Hand fresh pairs to the judge; identical completions have nothing to say."""
    now = time.time()
    dropped = [drop for pair in fresh if (drop := screen(pair, now))]
    known = {drop.ticket for drop in dropped}
    asked = tuple(pair.ticket for pair in fresh if pair.ticket not in known)
    run.journal.append(
        [*dropped, *([Submitted(tickets=asked, time=now)] * bool(asked))]
    )


def judge(run: Run, asked: list[Sampled], clock: Clock) -> None:
    """Get the judge's verdicts, and the labels or drops that follow from them."""
    began = time.perf_counter()
    run.watch.doing(f"judging {len(asked)} pairs", run.ledger)
    verdicts = run.judge.judge(
        [Comparison(p.ticket, p.messages, p.first.text, p.second.text) for p in asked]
    )
    now = time.time()
    clock.spent("judge", began)
    run.journal.append([*chain(*verdicts), *(decide(v, now) for v in verdicts)])


def apply(run: Run, pairs: list[LabelledPair], clock: Clock) -> None:
    """Take the DPO step on these pairs; appending its record is the commit."""
    began = time.perf_counter()
    ledger, tally = run.ledger, run.ledger.round
    index = ledger.steps + 1
    run.watch.doing(f"training on {len(pairs)} pairs", ledger)
    result = run.learner.step(pairs, index)
    clock.spent("train", began)
    state = _checkpoint(run, index, clock)
    sampling = clock.seconds.get("sample", 0.0)
    age = sum(ledger.steps - p.sampled.step for p in pairs) / len(pairs)
    measured = {
        **result.metrics,
        **metrics.of_round(tally, len(pairs), len(ledger.turns) - len(pairs), age),
        "perf/tokens_per_second": tally.tokens / sampling if sampling else 0.0,
        "perf/peak_memory_gb": mx.get_peak_memory() / 1e9,
    }
    clock.seconds["journal"] = run.journal.take_seconds()
    step = Step(
        index=index,
        tickets=tuple(pair.sampled.ticket for pair in pairs),
        loss=result.loss,
        grad_norm=result.grad_norm,
        metrics=measured,
        margins=result.margins,
        state=state,
        seconds=clock.seconds,
        time=time.time(),
    )
    run.journal.append([step])
    clock.seconds, clock.fruitless = {}, 0
    if state:
        began = time.perf_counter()
        checkpoint.prune(run.folder.checkpoints, index)
        publish(run)
        clock.spent("checkpoint", began)
    metrics.write(run.folder.metrics, step)
    run.watch.stepped(step, ledger)


def evaluation_is_due(run: Run) -> bool:
    """Before the first step, every `steps_per_eval` steps, and after the last."""
    step, settings = run.ledger.steps, run.settings
    due = step % settings.steps_per_eval == 0 or step == settings.iters
    return bool(run.prompts.held_out) and due and not run.ledger.evaluated(step)


def take_win_rate(run: Run) -> None:
    """Judge the policy against the reference on the held-out prompts."""
    began, ledger, seed = time.time(), run.ledger, run.settings.seed
    run.watch.doing("taking the held-out win rate", ledger)
    prompts = [encode(run.policy.tokenizer, m) for m in run.prompts.held_out]
    if ledger.reference is None:
        with run.policy.reference():
            drawn = evaluate.answer(run.sampler, prompts, seed, "reference")
        run.journal.append([HeldOut(completions=drawn, time=time.time())])
        assert ledger.reference is not None
    answers = evaluate.answer(run.sampler, prompts, seed, "policy")
    evaluated = evaluate.compare(
        run.judge,
        run.prompts.held_out,
        ledger.reference,
        answers,
        step=ledger.steps,
        began=began,
    )
    run.journal.append([evaluated])
    run.journal.take_seconds()
    metrics.write(run.folder.metrics, evaluated)
    run.watch.evaluated(evaluated, ledger)


def publish(run: Run) -> None:
    """Let the adapters folder hold the newest checkpoint's adapter."""
    step = max(run.ledger.checkpoints, default=0)
    if step and (run.folder.checkpoints / checkpoint.name_of(step)).exists():
        target = run.settings.adapter_path
        export.export(
            run.folder.checkpoints,
            step,
            Path(target) if target else run.folder.adapters,
            run.settings,
        )


def _checkpoint(run: Run, step: int, clock: Clock) -> str:
    """Write the step's checkpoint if one is due; returns its state's digest, or ""."""
    began = time.perf_counter()
    every, last = run.settings.save_every, step == run.settings.iters
    if every is not None:
        due = step % every == 0
    else:
        due = clock.save_cost <= CHECKPOINT_SHARE * (began - clock.saved_at)
    if not due and not last:
        return ""
    state = checkpoint.save(
        run.folder.checkpoints,
        step,
        run.policy.trainable(),
        run.learner.state(),
        run.journal.position,
    )
    clock.saved_at = time.perf_counter()
    clock.save_cost = clock.saved_at - began
    clock.spent("checkpoint", began)
    return state


def _ticket(record: Any) -> int:
    return int(record.ticket)


def _too_long(ticket: int, length: int, limit: int) -> Dropped:
    return Dropped(
        ticket=ticket,
        reason=Reason.TOO_LONG,
        detail=f"{length} tokens, max_seq_length is {limit}",
        time=time.time(),
    )


def _no_prompt_fits(limit: int) -> UsageError:
    return UsageError(
        f"no prompt is shorter than max_seq_length, which is {limit}",
        hint="Start another run folder with a larger max_seq_length.",
    )


def _nothing_to_learn(ledger: Ledger) -> NothingToLearn:
    reasons = ", ".join(f"{why}: {n}" for why, n in ledger.round.dropped.most_common())
    return NothingToLearn(
        f"{FRUITLESS_ROUNDS} rounds in a row gave no label ({reasons or 'none drawn'})",
        hint="See what the judge said with 'onlinedpo show'. A stronger judge, a"
        " clearer judge_system or a higher temperature may help.",
    )
