"""Settings of how completions are drawn, and which two become a pair."""

from __future__ import annotations

from dataclasses import dataclass

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How the policy writes."""

    num_generations: int = setting(
        2, "Completions drawn for each prompt; two of them become the pair.", low=2
    )
    pairing: str = setting(
        "best-worst",
        "Which two of more than two: the best and the worst by the judge, or two at"
        " random.",
        choices=("best-worst", "random"),
    )
    max_completion_length: int = setting(512, "Tokens in a completion at most.", low=1)
    temperature: float = setting(0.8, "Sampling temperature.", low=0.0)
    top_p: float = setting(1.0, "Nucleus sampling; 1: off.", low=0.0, high=1.0)
    top_k: int = setting(0, "Sample from the k likeliest tokens; 0: off.", low=0)
    min_p: float = setting(0.0, "Drop tokens below this share.", low=0.0, high=1.0)
