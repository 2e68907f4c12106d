"""Where the time of a run goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Seconds by what they were spent on, since the last step; and checkpoint costs."""

    seconds: dict[str, float] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.perf_counter)
    save_cost: float = 0.0

    def spent(self, on: str, since: float) -> None:
        """Add the time since `since` to an account."""
        spent = time.perf_counter() - since
        self.seconds[on] = self.seconds.get(on, 0.0) + spent
