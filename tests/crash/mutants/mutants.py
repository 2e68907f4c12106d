"""Ways of breaking the program, each of which the tests must notice.

A mutant leaves out one sync, rename, check or lock, by another text in one place.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PARTS = ("states", "journal", "engine", "cli", "tests")


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is left out, and the change that does it."""

    name: str
    path: str
    text: str
    instead: str

    def put_into(self, copy: Path) -> None:
        """Break a copy of the program; raises ValueError where the text has changed."""
        file = copy / self.path
        whole = file.read_text()
        if whole.count(self.text) != 1:
            raise ValueError(f"{self.name}: the text is not once in {self.path}")
        file.write_text(whole.replace(self.text, self.instead))


MUTANTS = (
    # -- syncs -------------------------------------------------------------------
    Mutant(
        "an append is not synced",
        "journal/writer.py",
        "            disk.sync(self._fd)\n",
        "",
    ),
    Mutant(
        "a sync does nothing",
        "journal/disk.py",
        '    getattr(os, "fdatasync", os.fsync)(fd)',
        "    pass",
    ),
    Mutant(
        "the files of a checkpoint are not synced",
        "engine/checkpoint.py",
        "        disk.sync_files([temporary / name for name in (*files, NAME)])\n",
        "",
    ),
    Mutant(
        "a replaced file is not synced before its name",
        "journal/atomic.py",
        "(disk.write_synced if durable else disk.write_new)(temporary, data)",
        "disk.write_new(temporary, data)",
    ),
    Mutant(
        "the name of a replaced file is not synced",
        "journal/atomic.py",
        "    if durable:\n        disk.sync_folder(path.parent)\n",
        "",
    ),
    Mutant(
        "the names in a published folder are not synced",
        "journal/atomic.py",
        "    disk.sync_folder(temporary)\n",
        "",
    ),
    Mutant(
        "the name of a published folder is not synced",
        "journal/atomic.py",
        "    disk.sync_folder(final.parent)\n",
        "",
    ),
    Mutant(
        "the names of new folders are not synced",
        "journal/disk.py",
        "            os.mkdir(path)\n"
        "        with naming(path.parent):\n"
        "            os.fsync(above)\n",
        "            os.mkdir(path)\n",
    ),
    Mutant(
        "a segment that another process left is not synced",
        "journal/writer.py",
        "disk.sync_files([last, self.folder])",
        "disk.sync_files([self.folder])",
    ),
    Mutant(
        "the name of a segment that another process left is not synced",
        "journal/writer.py",
        "disk.sync_files([last, self.folder])",
        "disk.sync_files([last])",
    ),
    Mutant(
        "a cut is not synced",
        "journal/disk.py",
        "        os.ftruncate(fd, length)\n        sync(fd)\n",
        "        os.ftruncate(fd, length)\n",
    ),
    Mutant(
        "a failed sync is tried again on the same file",
        "journal/writer.py",
        "        if self._poisoned:\n",
        "        if False:\n",
    ),
    Mutant(
        "the moves of label files are not synced",
        "engine/people/inbox.py",
        "        self.folder.keep_moves()\n",
        "",
    ),
    Mutant(
        "an adapter that was made again is not synced",
        "engine/rebuild.py",
        "        disk.sync_files([half / name for name in (*files, export.CONFIG)])\n",
        "",
    ),
    Mutant(
        "an export is not synced",
        "cli/export/pair_files.py",
        "disk.sync_files([path",
        "list([path",
    ),
    Mutant(
        "the checkpoint of a fork is not synced",
        "engine/fork.py",
        "disk.sync_files([copied / name for name in (*found.files, manifest.NAME)])",
        "pass",
    ),
    Mutant(
        "the segments of a salvage are not synced",
        "journal/repair/salvage.py",
        "        disk.write_synced(path_of(self._folder",
        "        disk.write_new(path_of(self._folder",
    ),
    # -- renames and their order --------------------------------------------------
    Mutant(
        "a file is written in place",
        "journal/atomic.py",
        "    temporary = _temporary(path)\n    try:\n        with naming(path):\n",
        "    disk.remove(temporary := path)\n    try:\n        with naming(path):\n",
    ),
    Mutant(
        "a checkpoint is written under its final name",
        "engine/checkpoint.py",
        "        temporary = atomic.make_temporary(final)\n",
        "        disk.make_folder(temporary := final)\n",
    ),
    Mutant(
        "a tail is cut before it is kept",
        "journal/writer.py",
        "        atomic.replace(kept, tail.data)\n"
        "        disk.cut(tail.path, tail.offset)\n",
        "        disk.cut(tail.path, tail.offset)\n"
        "        atomic.replace(kept, tail.data)\n",
    ),
    Mutant(
        "checkpoints are pruned before the step is committed",
        "engine/operations.py",
        "    run.journal.append([*without_winner",
        "    checkpoint.prune(run.folder.checkpoints, index)\n"
        "    run.journal.append([*without_winner",
    ),
    Mutant(
        "a label file is moved before its answer is in the journal",
        "engine/people/inbox.py",
        "        intake.take(self._journal, self._settings, new, ended)\n"
        "        for file in files:\n"
        "            self._put_away(file)\n",
        "        for file in files:\n"
        "            self._put_away(file)\n"
        "        intake.take(self._journal, self._settings, new, ended)\n",
    ),
    Mutant(
        "the state moves before the record is written",
        "journal/writer.py",
        "        self._write(codec.encode(batch))\n",
        "        [self.ledger.fold(record) for record in batch]\n"
        "        self._write(codec.encode(batch))\n"
        "        batch = ()\n",
    ),
    # -- checks ------------------------------------------------------------------
    Mutant(
        "the digest of a checkpoint's files is not checked",
        "engine/checkpoint.py",
        "    if found.wrong_file():\n        return None\n",
        "",
    ),
    Mutant(
        "a manifest is believed whatever its seal",
        "journal/manifest.py",
        "sealed(manifest) != data or ",
        "",
    ),
    Mutant(
        "a checkpoint that the journal does not know is used",
        "engine/resume.py",
        "        elif ledger.checkpoints.get(found.step) != found.state:\n",
        "        elif False:\n",
    ),
    Mutant(
        "a checkpoint that was never committed stays",
        "engine/resume.py",
        "        if found.step > ledger.steps:\n",
        "        if False:\n",
    ),
    Mutant(
        "the chain of a frame is not checked",
        "journal/frames.py",
        "        if after != data[end - CHAIN : end]:\n",
        "        if False:\n",
    ),
    Mutant(
        "the checksum of a frame's header is not checked",
        "journal/frames.py",
        "_CRC.pack(zlib.crc32(run + fields)) != crc",
        "False",
    ),
    Mutant(
        "damage before later frames is taken for a torn tail",
        "journal/reader.py",
        "        later = frames.later_frame(data, broken, segment)\n",
        "        later = None\n",
    ),
    Mutant(
        "a segment need not continue the one before it",
        "journal/reader.py",
        "        if segment != before.next_segment():\n",
        "        if False:\n",
    ),
    Mutant(
        "a journal that ends before a checkpoint is accepted",
        "journal/reader.py",
        "        self._all_anchors_met()\n",
        "",
    ),
    # -- the lock ----------------------------------------------------------------
    Mutant(
        "two processes may write one run",
        "journal/lock.py",
        "        fcntl.flock(fd, kind | fcntl.LOCK_NB)\n",
        "        pass\n",
    ),
    Mutant(
        "a run that was moved away is written to",
        "journal/lock.py",
        "        if not same:\n",
        "        if False:\n",
    ),
    Mutant(
        "a run that was moved away gets a new checkpoint where it lay",
        "engine/saving.py",
        "    run.journal.lock.must_hold()\n",
        "",
    ),
    Mutant(
        "a run that was replaced by a copy goes on waiting for people",
        "engine/people/operations.py",
        "        run.journal.lock.must_hold()\n",
        "",
    ),
    Mutant(
        "label folders are made where a run lay before",
        "engine/people/inbox.py",
        "        self._journal.lock.must_hold()\n",
        "",
    ),
    # -- reading ------------------------------------------------------------------
    Mutant(
        "a folder that cannot be read is taken for an empty one",
        "journal/present.py",
        "        names = os.listdir(folder)\n    except NO_FILE:\n",
        "        names = os.listdir(folder)\n    except OSError:\n",
    ),
    Mutant(
        "links in the folders of people are followed",
        "journal/plain_files.py",
        "_READING | (0 if follow else os.O_NOFOLLOW)",
        "_READING",
    ),
    Mutant(
        "a pipe in the place of a file is waited for",
        "journal/plain_files.py",
        "os.O_NONBLOCK | ",
        "",
    ),
    Mutant(
        "a device is read like a file",
        "journal/plain_files.py",
        "        if not stat.S_ISREG(kind):\n",
        "        if False:\n",
    ),
)


def copy_of_the_program(to: Path) -> Path:
    """Program and tests, without what git ignores; links within stay links."""
    to.mkdir(parents=True)
    for part in PARTS:
        shutil.copytree(
            ROOT / part,
            to / part,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for file in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / file, to / file)
    return to
