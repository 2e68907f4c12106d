"""Pairs of a file in the place of fresh ones: plain DPO, by the same journal and step.

Each row becomes a pair as if it had been sampled.  One that is longer than
`max_seq_length` is dropped and not cut: what is trained on is what the file says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from onlinedpo.engine.data import pairs as data
from onlinedpo.engine.data.pairs import PreferencePair
from onlinedpo.engine.data.prompts import Prompts
from onlinedpo.engine.fruitless import TooLong, must_bear_fruit
from onlinedpo.engine.run import Run
from onlinedpo.states import due, seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.offline import better_side
from onlinedpo.states.order import NextTurn, next_turns
from onlinedpo.states.records import Completion, Messages, Record, Sampled


@dataclass(frozen=True, slots=True)
class FilePairs(Prompts):
    """The pairs to train on, the prompts of these, and prompts held out of them."""

    pairs: Sequence[PreferencePair]

    def describe(self) -> dict[str, Any]:
        """Counts and digests for the journal: also of the completions."""
        return {**Prompts.describe(self), **data.describe(self.pairs)}


def load(settings: Settings) -> FilePairs:
    """The pairs of `offline_pairs`, and what is held out of them.

    That are the prompts of its valid split, or else at most a tenth of its prompts, by
    the seed; no pair with one of these is trained on.  Raises `UsageError`.
    """
    pairs, valid = data.load_pairs(settings), data.valid_prompts(settings)
    prompts = {_key(pair.messages): pair.messages for pair in pairs}
    if valid is None:
        count = min(settings.val_prompts, len(prompts) // 10)
        places = set(seeds.order(settings.seed, -1, len(prompts))[:count])
        valid = [m for i, m in enumerate(prompts.values()) if i in places]
    held_out = valid[: settings.val_prompts]
    aside = {_key(messages) for messages in held_out}
    train = [pair for pair in pairs if _key(pair.messages) not in aside]
    return FilePairs([pair.messages for pair in train], held_out, train)


def take(run: Run) -> None:
    """Take the next pairs of the file."""
    ledger, settings = run.ledger, run.settings
    assert isinstance(run.prompts, FilePairs)
    must_bear_fruit(run)
    wanted = due.to_sample(ledger, settings)
    run.watch.doing(f"taking {wanted} pairs from the file", ledger)
    end = end_of_turn(run.policy.tokenizer)
    batch: list[Record] = []
    too_long, taken = TooLong(run, "pair"), 0
    for turn in next_turns(ledger, run.order):
        if taken == wanted:
            break
        pair = _pair(run, run.prompts.pairs[turn.prompt], turn, end)
        longest = max(len(pair.first.tokens), len(pair.second.tokens))
        length = len(pair.prompt_tokens) + longest
        if length <= settings.max_seq_length:
            taken += 1
            batch.append(pair)
        else:
            batch.append(too_long.drop(turn, length))
    run.journal.append(batch)


def _pair(run: Run, of: PreferencePair, turn: NextTurn, end: int) -> Sampled:
    encode = run.policy.tokenizer.encode
    chosen, rejected = (
        Completion(
            tokens=(*map(int, encode(text, add_special_tokens=False)), end),
            text=text,
            finish="stop",
        )
        for text in (of.chosen, of.rejected)
    )
    side = better_side(run.settings.seed, turn.epoch, turn.prompt)
    return Sampled(
        ticket=turn.ticket,
        epoch=turn.epoch,
        prompt=turn.prompt,
        messages=of.messages,
        prompt_tokens=tuple(run.policy.encode(of.messages)),
        first=chosen if side == "first" else rejected,
        second=rejected if side == "first" else chosen,
        step=run.ledger.steps,
        time=time.time(),
        repeats=turn.repeats,
        source="file",
    )


def end_of_turn(tokenizer: Any) -> int:
    """The id with which the chat template ends an assistant's turn, or else the EOS.

    A model may have several that end a turn; it is to learn the one that it is shown.
    """
    ends = {int(token) for token in tokenizer.eos_token_ids}
    talk = [{"role": r, "content": "Why?"} for r in ("user", "assistant")]
    try:
        rendered = tokenizer.apply_chat_template(
            talk, add_generation_prompt=False, tokenize=True, enable_thinking=False
        )
    except (TemplateError, TypeError, ValueError, KeyError):
        rendered = []
    written = [int(token) for token in rendered if int(token) in ends]
    if written:
        return written[-1]
    own = tokenizer.eos_token_id
    return int(own) if own is not None else min(ends)


def _key(messages: Messages) -> tuple[tuple[str, str], ...]:
    return tuple((turn["role"], turn["content"]) for turn in messages)
