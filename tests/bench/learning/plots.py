"""The results as pictures: a curve for each arrangement, and the range of its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from tests.bench.learning.cells import TITLES
from tests.bench.learning.results import MEASURES, Row

COLOURS = ("#000000", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
"""Okabe and Ito's, which people tell apart who see few colours."""
SHARES = {"win_rate": 0.4, "ended": 0.9}
"""What is shown in percent, from so low at least."""
MARKERS = ("o", "s", "^", "D", "v", "P")


def plot(out: Path, found: Sequence[Row]) -> list[Path]:
    """A PNG for each part; raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import PercentFormatter

    written = []
    for part in dict.fromkeys(row.part for row in found):
        figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), sharex=True)
        own = [row for row in found if row.part == part]
        for axis, (measure, title) in zip(axes.flat, MEASURES.items(), strict=True):
            _draw(axis, own, measure)
            axis.set_title(title, fontsize=13)
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=11)
            if measure in SHARES:
                axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
                axis.set_ylim(bottom=min(SHARES[measure], axis.get_ylim()[0]))
        for axis in axes[-1]:
            axis.set_xlabel("steps (8 pairs each)", fontsize=12)
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="lower center",
            ncol=len(names),
            fontsize=12,
            frameon=False,
        )
        figure.suptitle(f"{TITLES[part]}: mean and range of the seeds", fontsize=14)
        figure.tight_layout(rect=(0, 0.05, 1, 1))
        written.append(out / f"{part}.png")
        figure.savefig(written[-1], dpi=130)
        pyplot.close(figure)
    return written


def _draw(axis: object, found: Sequence[Row], measure: str) -> None:
    for number, name in enumerate(dict.fromkeys(row.name for row in found)):
        values: dict[int, list[float]] = {}
        for row in found:
            if row.name == name:
                values.setdefault(row.step, []).append(getattr(row, measure))
        steps = sorted(values)
        colour = COLOURS[number % len(COLOURS)]
        axis.plot(  # type: ignore[attr-defined]
            steps,
            [fmean(values[step]) for step in steps],
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            linewidth=1.8,
            label=name,
        )
        axis.fill_between(  # type: ignore[attr-defined]
            steps,
            [min(values[step]) for step in steps],
            [max(values[step]) for step in steps],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
