"""A run on a toy whose pairs other programs load; nothing writes to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from onlinedpo.cli.main import cli
from tests.engine.runs import Scripted, by_text, trained
from tests.toys import EOS, prompts_file, toy_model

# Nothing here is on the Hub.
os.environ["HF_HUB_OFFLINE"] = "1"


@dataclass(frozen=True)
class Toy:
    """A model, and a run that trained on it."""

    model: Path
    run: Path

    def export(self, output: Path, *arguments: str) -> Path:
        """Export the run's pairs; where they went."""
        given = ["export", str(self.run), *arguments, "-o", str(output)]
        cli(given, standalone_mode=False)
        return output


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Nine pairs in three steps, judged by a script in both orders."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model(folder / "model", eos=(EOS, *range(20, 60)))
    data = prompts_file(folder / "data")
    parts = {"model": str(model), "judge": str(model), "data": str(data)}
    trained(folder / "run", Scripted(by_text), **parts)
    return Toy(model, folder / "run")
