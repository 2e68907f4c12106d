"""A model, data and finished runs, for commands that go wrong on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cached_property
from pathlib import Path

from click.testing import CliRunner

from onlinedpo.cli.main import cli
from tests.toys import CHATML, prompts_file, toy_model


class Bench:
    """What a run needs, all of it sound, and a place for what is not."""

    def __init__(self, folder: Path) -> None:
        """Make nothing yet."""
        self.folder = folder
        self.place = folder

    @contextmanager
    def at(self, place: Path) -> Iterator[None]:
        """Let new things be made here for a while, which is where one works."""
        place.mkdir(parents=True)
        before, self.place = self.place, place
        try:
            with chdir(place):
                yield
        finally:
            self.place = before

    @cached_property
    def model(self) -> Path:
        """A toy that as a judge answers A or B."""
        return toy_model(self.folder / "model", opinionated=True)

    @cached_property
    def data(self) -> Path:
        """Prompts, some of them held out."""
        return prompts_file(self.folder / "data", 8, held_out=2)

    @cached_property
    def _finished(self) -> Path:
        """A run of one step, on a model and data of its own."""
        own = self.folder / "finished"
        model, data = own / "model", own / "data"
        shutil.copytree(self.model, model)
        shutil.copytree(self.data, data)
        flags = self.run(own / "run", model=model, judge=model, data=data)
        done = CliRunner().invoke(cli, flags)
        assert done.exit_code == 0, done.output
        return own

    @property
    def finished(self) -> Path:
        """A copy of a finished run, with its model and data beside it."""
        own = self.place / "own"
        shutil.copytree(self._finished, own)
        # A run knows where its model and data lay; they may be elsewhere now.
        return own / "run"

    def again(self, run: Path, *more: str | Path) -> list[str]:
        """The command that takes up a copy of the finished run."""
        parts = {"model": "model", "judge": "model", "data": "data"}
        flags = [x for k, v in parts.items() for x in (f"--{k}", run.parent / v)]
        return [*map(str, ["run", run, *flags, *more])]

    def run(self, run: Path, *more: str | Path, **parts: str | Path) -> list[str]:
        """The command that begins a short run, with other parts or flags."""
        usual = {"model": self.model, "judge": self.model, "data": self.data}
        flags = [x for k, v in {**usual, **parts}.items() for x in (f"--{k}", v)]
        short = ["--iters", 1, "--batch-size", 2, "--max-completion-length", 8]
        each = ["run", run, *flags, *short, "--judge-orders", 1, *more]
        return [*map(str, each)]

    def new(self, *more: str | Path, **parts: str | Path) -> list[str]:
        """The same, in a folder that is not there yet."""
        return self.run(self.place / "run", *more, **parts)

    def file(self, name: str, content: str | bytes) -> Path:
        """A file with this in it."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def toy(self, *, template: str = CHATML) -> Path:
        """Another model, which may be spoilt."""
        return toy_model(self.place / "toy", template=template)
