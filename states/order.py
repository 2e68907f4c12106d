"""Which prompt is next, as a function of the seed and of what has happened so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from onlinedpo.states import seeds
from onlinedpo.states.standing import Standing


class Order:
    """Which prompt a turn is for: every prompt once in each epoch."""

    def __init__(self, seed: int, count: int) -> None:
        """The order is a function of the seed and the epoch alone."""
        self._seed = seed
        self._count = count
        self._epoch = -1
        self._order: list[int] = []

    def place(self, number: int) -> tuple[int, int]:
        """(epoch, prompt index) of the `number`-th turn."""
        epoch, place = divmod(number, self._count)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = seeds.order(self._seed, epoch, self._count)
        return epoch, self._order[place]


@dataclass(frozen=True, slots=True)
class NextTurn:
    """A prompt that is to be sampled, and the ticket that it gets."""

    ticket: int
    epoch: int
    prompt: int
    repeats: int | None = None

    def keys(self, seed: int, count: int) -> list[int]:
        """The seeds of so many completions."""
        again = () if self.repeats is None else ("again", self.ticket)
        return [
            seeds.derive(seed, "draw", self.epoch, self.prompt, k, *again)
            for k in range(count)
        ]


def next_turns(standing: Standing, order: Order) -> Iterator[NextTurn]:
    """Who is next: the prompts that get another turn, then those of the order."""
    tickets = count(standing.next_ticket)
    for repeats, epoch, prompt in tuple(standing.again):
        yield NextTurn(next(tickets), epoch, prompt, repeats)
    for place in count(standing.place):
        yield NextTurn(next(tickets), *order.place(place))
