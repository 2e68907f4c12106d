"""The settings of a run: one frozen dataclass is their only source.

Names are mlx-lm's and mlx-lm-lora's.  The command-line flags, the YAML keys, the
defaults, the help texts and the checks are all derived from its fields, which stand in
`states.settings`, by what they are for.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from onlinedpo.states.checks import adapter, check, optimizer_arguments, typed
from onlinedpo.states.settings.data import DataSettings
from onlinedpo.states.settings.judging import DEFAULT_RUBRIC as DEFAULT_RUBRIC
from onlinedpo.states.settings.judging import PEOPLE as PEOPLE
from onlinedpo.states.settings.judging import JudgingSettings, kind_of
from onlinedpo.states.settings.models import ModelSettings
from onlinedpo.states.settings.people import PeopleSettings
from onlinedpo.states.settings.preference import PreferenceSettings
from onlinedpo.states.settings.sampling import SamplingSettings
from onlinedpo.states.settings.together import must_fit
from onlinedpo.states.settings.training import TrainingSettings
from onlinedpo.states.settings.watching import WatchingSettings

GROUPS = (
    *(ModelSettings, DataSettings, TrainingSettings, PreferenceSettings),
    *(SamplingSettings, JudgingSettings, PeopleSettings, WatchingSettings),
)
"""The settings by what they are for, in the order in which they are shown."""


# A dataclass takes the fields of its last base first.
@dataclass(frozen=True, kw_only=True)
class Settings(
    WatchingSettings,
    PeopleSettings,
    JudgingSettings,
    SamplingSettings,
    PreferenceSettings,
    TrainingSettings,
    DataSettings,
    ModelSettings,
):
    """Everything that decides what a run does."""

    def __post_init__(self) -> None:
        """Check every value; raises `UsageError` naming the setting."""
        hints = settings_hints()
        for f in fields(self):
            value = typed(f.name, getattr(self, f.name), hints[f.name])
            object.__setattr__(self, f.name, value)
            check(f.name, value, f.metadata)
        if self.fine_tune_type != "full":
            object.__setattr__(self, "lora_parameters", adapter(self.lora_parameters))
        optimizer_arguments(self.optimizer_config)
        must_fit(self)

    @property
    def pairs_per_step(self) -> int:
        """How many prompts are sampled for one step."""
        return self.batch_size * self.grad_accumulation_steps

    def steps_over(self, prompts: int) -> int:
        """How many steps are to be taken: `iters`, or `epochs` passes over prompts.

        As many as a pass has if it drops none; its last step goes on into the next.
        """
        if not self.epochs:
            return self.iters
        return self.epochs * math.ceil(prompts / self.pairs_per_step)

    @property
    def pairs_in_a_round(self) -> int:
        """How many pairs are sampled from one policy before it is trained."""
        return self.pairs_per_round or self.pairs_per_step

    @property
    def people_judge(self) -> bool:
        """Whether people judge every pair."""
        return kind_of(self.judge) == "people" and not self.offline_pairs

    @property
    def needs_a_judge(self) -> bool:
        """Whether anything is to be judged, and not by people.

        Pairs of a file are not: there only held-out answers are.
        """
        compares = not self.offline_pairs or self.val_prompts > 0
        return compares and kind_of(self.judge) != "people"

    @property
    def judges(self) -> tuple[str, ...]:
        """Everybody who judges."""
        return (self.judge, *(self.judge_panel or ()))

    @property
    def asks_people(self) -> bool:
        """Whether any pair may be sent to people."""
        return (
            self.people_judge or self.escalate_below is not None or self.human_share > 0
        )

    @property
    def may_wait(self) -> int:
        """How many pairs may wait for people."""
        return self.max_waiting or (
            self.pairs_in_a_round * (1 if self.people_judge else 8)
        )

    def as_dict(self) -> dict[str, Any]:
        """All settings, as YAML and the journal keep them."""
        return asdict(self)


@cache
def settings_hints() -> dict[str, Any]:
    """The type of each setting; Python takes long to tell."""
    return get_type_hints(Settings)
