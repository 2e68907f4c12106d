"""An eval log of Inspect AI as a file, *.eval: a zip with an entry for each sample."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from onlinedpo.cli.export.pair_files import whole
from onlinedpo.states.export.eval_log import summary
from onlinedpo.states.visible import json_line

Json = dict[str, Any]


def write(output: Path, head: Json, samples: Iterable[Json]) -> None:
    """Write a log that `inspect view` lists and opens; few samples are held.

    Raises OSError.
    """
    with (
        whole(output) as folder,
        TemporaryFile("w+b") as summaries,
        ZipFile(folder / output.name, "w", ZIP_DEFLATED) as log,
    ):
        between = b"["
        for sample in samples:
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            log.writestr(name, json_line(sample))
            summaries.write(between + json_line(summary(sample)).encode())
            between = b","
        summaries.write(b"]")
        summaries.seek(0)
        with log.open("summaries.json", "w", force_zip64=True) as entry:
            while part := summaries.read(1 << 20):
                entry.write(part)
        log.writestr("header.json", json_line(head))
