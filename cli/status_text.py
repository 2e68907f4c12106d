"""Where a run stands, for people: what `onlinedpo status` prints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from onlinedpo.cli.words import figure, head_line, people_line, percent


def status_text(folder: Path, facts: dict[str, Any]) -> str:
    """`status` for people."""
    lines = [f"{folder}: {facts['state']}, step {facts['step']} of {facts['iters']}"]
    if facts["derived"]:
        lines.append(facts["derived"])
    lines.append(
        "prompts: " + "  ".join(f"{k} {v}" for k, v in facts["prompts"].items())
    )
    if facts["dropped"]:
        why = ", ".join(f"{k} {v}" for k, v in facts["dropped"].items())
        lines.append(f"dropped: {why}")
    if facts["people"]:
        lines.append(people_line(facts["people"]))
    if facts["last_step"]:
        last = facts["last_step"]
        lines.append(
            f"last step: loss {last['loss']:.4f},"
            f" margin {figure(last.get('rewards/margins', math.nan), '+.3f')},"
            f" accuracy {figure(last.get('rewards/accuracies', math.nan), '.2f')}"
        )
    for rate in facts["win_rates"]:
        lines.append(f"win rate after step {rate['step']}: {percent(rate['win_rate'])}")
    for key in ("model", "judge", "data"):
        lines.append(f"{key}: {facts[key] or 'none'}")
    if facts["offline"]:
        lines.append("  (pairs with labels; a judge is asked of held-out answers only)")
    environment = facts["environment"]
    lines.append(
        f"last on: mlx {environment.get('mlx')} on {environment.get('device')},"
        f" {environment.get('blas')}"
    )
    lines += [f"torn tail cut: {tail}" for tail in facts["torn_tails"]]
    if facts["head"]:
        lines.append(head_line(facts["frames"], facts["head"]))
    return "\n".join(lines)
