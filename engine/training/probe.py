"""Whether this device gives the same bits twice.

The CPU does.  Metal and CUDA choose their kernels by shape and load, and promise
nothing; there one gradient is taken twice, and the run says what came out.
"""

from __future__ import annotations

from onlinedpo.engine.tensors import digest, flat
from onlinedpo.engine.training.learner import Learner
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.records import Completion, Label, Sampled

_TOKENS = 64


def repeats(learner: Learner) -> bool:
    """Whether the gradient on a made-up pair has the same bits twice in a row."""
    gradients = [learner.gradient([_pair()], 1, 1, 0)[0] for _ in range(2)]
    return digest(flat(gradients[0])) == digest(flat(gradients[1]))


def _pair() -> LabelledPair:
    tokens = tuple(range(4, 4 + _TOKENS))
    completions = [
        Completion(tokens=ids, text="", finish="length") for ids in (tokens, tokens[1:])
    ]
    sampled = Sampled(
        ticket=0,
        epoch=0,
        prompt=0,
        messages=(),
        prompt_tokens=tokens,
        first=completions[0],
        second=completions[1],
        step=0,
        time=0.0,
    )
    label = Label(ticket=0, chosen="first", source="judge", confidence=1.0, time=0.0)
    return LabelledPair(sampled, label)
