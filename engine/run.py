"""An open run: all that the loop works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from onlinedpo.engine.clock import Clock
from onlinedpo.engine.data.prompts import Prompts
from onlinedpo.engine.judges.comparison import Judge
from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.people.desk import Desk
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.sampler import Sampler
from onlinedpo.engine.training.learner import Learner
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.order import Order


@dataclass(slots=True)
class Run:
    """An open run: all that the loop works with."""

    folder: RunFolder
    settings: Settings
    journal: Journal
    prompts: Prompts
    order: Order
    policy: Policy
    sampler: Sampler
    judge: Judge | None
    """The automatic judge; None where people judge all."""
    learner: Learner
    watch: Observer
    desk: Desk | None
    """Where people are asked; None where nobody is."""
    clock: Clock = field(default_factory=Clock)
    patient: bool = True
    """Whether to wait for people where only they can go on."""
    fruitless: int = 0
    """Batches in a row, in this process, of which nothing came."""
    newest: int = 0
    """The first ticket of the last of them."""

    @property
    def ledger(self) -> Ledger:
        """Where the run stands."""
        return self.journal.ledger
