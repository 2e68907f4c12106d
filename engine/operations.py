"""The operations of the loop: sample, submit, judge, apply, take the win rate.

Each does its work and ends with an append to the journal, which moves the prompts.  One
that was cut short before its append did not happen, and is done again.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import Any

import mlx.core as mx

from onlinedpo.engine import checkpoint, evaluate, pairing
from onlinedpo.engine.fruitless import TooLong, must_bear_fruit
from onlinedpo.engine.judges import early
from onlinedpo.engine.judges.comparison import judge_pairs
from onlinedpo.engine.pairing import Drawn
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.run import Run
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.engine.saving import publish, save_if_due
from onlinedpo.states import due, labelling, measures
from onlinedpo.states.endings import without_winner
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.order import NextTurn, next_turns
from onlinedpo.states.records import (
    Completion,
    HeldOut,
    Record,
    Sampled,
    Step,
)
from onlinedpo.states.verdicts import penalties


def sample(run: Run) -> None:
    """Draw two completions for each of the next prompts from the current policy."""
    began = time.perf_counter()
    ledger, settings = run.ledger, run.settings
    must_bear_fruit(run)
    wanted = due.to_sample(ledger, settings)
    run.watch.doing(f"sampling {wanted} prompts", ledger)
    batch: list[Record] = []
    drawn: list[tuple[NextTurn, Request]] = []
    too_long = TooLong(run, "prompt")
    for turn in next_turns(ledger, run.order):
        if len(drawn) == wanted:
            break
        prompt = run.policy.encode(run.prompts.train[turn.prompt])
        if run.sampler.fits(prompt):
            keys = turn.keys(settings.seed, settings.num_generations)
            drawn.append((turn, Request(prompt, keys)))
        else:
            batch.append(too_long.drop(turn, len(prompt)))
    for start in range(0, len(drawn), settings.batch_size):
        part = drawn[start : start + settings.batch_size]
        turns = [(turn.ticket, run.prompts.train[turn.prompt]) for turn, _ in part]
        completions = run.sampler.sample(
            [request for _, request in part], early.asking(run.judge, settings, turns)
        )
        pairs = pairing.pair(
            [
                Drawn(turn.ticket, run.prompts.train[turn.prompt], drawn_of_it)
                for (turn, _), drawn_of_it in zip(part, completions, strict=True)
            ],
            settings,
            run.judge,
        )
        for (turn, request), pair in zip(part, pairs, strict=True):
            batch.append(
                Sampled(
                    ticket=turn.ticket,
                    epoch=turn.epoch,
                    prompt=turn.prompt,
                    messages=run.prompts.train[turn.prompt],
                    prompt_tokens=tuple(request.prompt),
                    first=pair.first,
                    second=pair.second,
                    step=ledger.steps,
                    time=time.time(),
                    repeats=turn.repeats,
                    others=pair.others,
                    drawn=pair.drawn,
                )
            )
            batch += [pair.ranked] if pair.ranked else []
    run.clock.spent("sample", began)
    run.journal.append(sorted(batch, key=_ticket))


def submit(run: Run, fresh: list[Sampled]) -> None:
    """Hand fresh pairs to the judge, or to people where they judge all."""
    asked = run.ledger.asked
    run.journal.append(labelling.submit(fresh, run.settings, asked, time.time()))


def judge(run: Run, asked: list[Sampled]) -> None:
    """Get the judge's verdicts, and the labels or drops that follow from them."""
    began = time.perf_counter()
    run.watch.doing(f"judging {len(asked)} pairs", run.ledger)
    assert run.judge is not None
    said, left = judge_pairs(run.judge, asked)
    verdicts = penalties.on_pairs(said, asked, run.settings.missing_eos_penalty)
    now = time.time()
    run.clock.spent("judge", began)
    decisions = [labelling.decide(v, now) for v in verdicts]
    facts = labelling.doubt(decisions, run.settings, run.ledger.asked)
    if verdicts:
        run.journal.append([*chain(*verdicts), *facts])
    if left:
        # Somebody has paid for what came before: it is kept.
        raise left


def apply(run: Run, pairs: list[LabelledPair]) -> None:
    """Take the DPO step on these pairs; appending its record is the commit."""
    began = time.perf_counter()
    ledger = run.ledger
    index = ledger.steps + 1
    run.watch.doing(f"training on {len(pairs)} pairs", ledger)
    result = run.learner.step(pairs, index)
    run.clock.spent("train", began)
    state = save_if_due(run, index)
    sampling = run.clock.seconds.get("sample", 0.0)
    measured = {
        **result.metrics,
        **measures.of_step(ledger, pairs, run.settings),
        "perf/tokens_per_second": ledger.round.tokens / sampling if sampling else 0.0,
        "perf/peak_memory_gb": mx.get_peak_memory() / 1e9,
    }
    run.clock.seconds["journal"] = run.journal.take_seconds()
    step = Step(
        index=index,
        tickets=tuple(pair.sampled.ticket for pair in pairs),
        loss=result.loss,
        grad_norm=result.grad_norm,
        metrics=measured,
        margins=result.margins,
        state=state,
        seconds=run.clock.seconds,
        time=time.time(),
    )
    run.journal.append([*without_winner(ledger.undecided(), step.time), step])
    run.clock.seconds, run.fruitless = {}, 0
    if state:
        began = time.perf_counter()
        checkpoint.prune(run.folder.checkpoints, index)
        publish(run)
        run.clock.spent("checkpoint", began)
    metrics.write(run.folder.metrics, step)
    # Buffers of this step's shapes are of little use to the next one's.
    mx.clear_cache()
    run.watch.stepped(step, ledger)


def take_win_rate(run: Run) -> None:
    """Judge the policy against the reference on the held-out prompts."""
    began, ledger = time.time(), run.ledger
    run.watch.doing("taking the held-out win rate", ledger)
    if ledger.reference is None:
        with run.policy.reference() as model:
            drawn = _answers(run, run.sampler.on(model), "reference")
        asked = tuple(run.prompts.held_out)
        run.journal.append(
            [HeldOut(prompts=asked, completions=drawn, time=time.time())]
        )
        assert ledger.reference is not None
    answers = _answers(run, run.sampler, "policy")
    assert run.judge is not None
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


def _answers(run: Run, sampler: Sampler, whose: str) -> tuple[Completion, ...]:
    return evaluate.answer(
        sampler,
        [run.policy.encode(m) for m in run.prompts.held_out],
        seed=run.settings.seed,
        whose=whose,
        # As many rows as a batch of pairs has.
        at_once=2 * run.settings.batch_size,
    )


def _ticket(record: Any) -> int:
    return int(record.ticket)
