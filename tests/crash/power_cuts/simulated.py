"""A disk as a power cut leaves it: what was synced is there, and of the rest anything.

It is told the calls that a program made, and knows of each file and folder what is on
the disk and what is in the cache only.  Syncing a file makes its bytes durable, syncing
a folder the names in it; neither does the other's.  Of what is not synced, each change
is kept or lost on its own, in any combination; a write may also be kept in part.

Two things no disk does to us: bytes outside a write are not harmed by it (as SQLite
assumes), and a rename is there or not there, also from one folder to another (as APFS,
ext4, XFS and Btrfs promise).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.calls import Call

State = dict[str, bytes | None]
"""Every file's bytes by its path below the root, and None for each folder."""


@dataclass(eq=False, slots=True)
class File:
    """A file's bytes, whatever its names are."""

    now: bytes = b""
    synced: bytes = b""


@dataclass(eq=False, slots=True)
class Folder:
    """The names in a folder."""

    now: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)


Node = File | Folder


@dataclass(eq=False, slots=True)
class Change:
    """A write at `offset`, or without data a cut to that length."""

    file: File
    offset: int
    data: bytes | None

    def on(self, content: bytes) -> bytes:
        """What a file holds after it."""
        if self.data is None:
            return content[: self.offset]
        whole = content.ljust(self.offset, b"\0")
        return whole[: self.offset] + self.data + whole[self.offset + len(self.data) :]


@dataclass(eq=False, slots=True)
class Naming:
    """Names that come or go together: (folder, name, what bears it now or None)."""

    sets: tuple[tuple[Folder, str, Node | None], ...]
    synced: bool = False
    """Whether it is on the disk, though changes before it may not be."""

    def on(self, names: dict[str, Node], folder: Folder) -> None:
        """Let the names in a folder be what they are after it."""
        for where, name, node in self.sets:
            if where is folder and node is not None:
                names[name] = node
            elif where is folder:
                names.pop(name, None)


Op = Change | Naming

Fate = Callable[[Op, bytes], bytes | bool]
"""What becomes of an unsynced change: True, it is kept, or False, it is lost.

Of a write, which is given what was there, also the bytes that are there then.
"""


class Disk:
    """One folder of a disk, and all below it."""

    def __init__(self, root: Path, content: State) -> None:
        """What it holds to begin with is synced."""
        self.root = root
        self.unsynced: list[Op] = []
        self._top = Folder()
        for path in sorted(content):
            above, name = self._place(root / path)
            data = content[path]
            node = Folder() if data is None else File(data, data)
            above.now[name] = above.synced[name] = node

    def make(self, call: Call) -> None:
        """Take in a call that the program made."""
        match call.name:
            case "write":
                self._change(call.path, call.offset, call.data)
            case "cut":
                self._change(call.path, call.offset, None)
            case "sync" if call.path == self.root.parent:
                pass
            case "sync":
                self._sync(self._at(call.path))
            case "create":
                self._name((call.path, File()))
            case "mkdir":
                self._name((call.path, Folder()))
            case "unlink" | "rmdir":
                self._name((call.path, None))
            case "link":
                assert call.to
                self._name((call.to, self._at(call.path)))
            case "rename":
                assert call.to
                # Two names of one file: a rename of one onto the other does nothing.
                if self._find(call.to) is not (node := self._at(call.path)):
                    self._name((call.to, node), (call.path, None))
            case _:
                raise AssertionError(f"not simulated: {call}")

    def left(self, fate: Fate) -> State:
        """What a power cut leaves, where this becomes of each unsynced change."""
        contents: dict[int, bytes] = {}
        kept: set[int] = set()
        for op in self.unsynced:
            if isinstance(op, Naming):
                kept |= {id(op)} if fate(op, b"") else set()
                continue
            before = contents.get(id(op.file), op.file.synced)
            became = fate(op, before)
            if isinstance(became, bytes):
                contents[id(op.file)] = became
            elif became:
                contents[id(op.file)] = op.on(before)
        found: State = {}
        self._walk(self._top, "", contents, kept, found)
        return found

    def now(self) -> State:
        """What a program sees."""
        return self.left(lambda op, before: True)

    def dirty(self, path: Path) -> Iterator[Path]:
        """What is not synced of a file or folder and below it: bytes, and names."""
        node = self._find(path)
        if isinstance(node, File):
            if any(isinstance(op, Change) and op.file is node for op in self.unsynced):
                yield path
        elif isinstance(node, Folder):
            for op in node.pending:
                named = [name for where, name, _ in op.sets if where is node]
                yield from [path / name for name in named if not op.synced]
            for name in node.now:
                yield from self.dirty(path / name)

    def _walk(
        self,
        folder: Folder,
        above: str,
        contents: Mapping[int, bytes],
        kept: Container[int],
        found: State,
    ) -> None:
        names = folder.synced
        if folder.pending:
            names = dict(names)
            for op in folder.pending:
                if op.synced or id(op) in kept:
                    op.on(names, folder)
        for name, node in names.items():
            path = f"{above}{name}"
            if isinstance(node, File):
                found[path] = contents.get(id(node), node.synced)
            else:
                found[path] = None
                self._walk(node, f"{path}/", contents, kept, found)

    def _change(self, path: Path, offset: int, data: bytes | None) -> None:
        file = self._at(path)
        assert isinstance(file, File)
        op = Change(file, offset, data)
        file.now = op.on(file.now)
        self.unsynced.append(op)

    def _name(self, *names: tuple[Path, Node | None]) -> None:
        sets = tuple((*self._place(path), node) for path, node in names)
        op = Naming(sets)
        for folder in {id(folder): folder for folder, _, _ in sets}.values():
            op.on(folder.now, folder)
            folder.pending.append(op)
        self.unsynced.append(op)

    def _sync(self, node: Node) -> None:
        if isinstance(node, File):
            node.synced = node.now
            self._forget(lambda op: isinstance(op, Change) and op.file is node)
            return
        for op in node.pending:
            op.synced = True
        node.synced, node.pending = dict(node.now), []
        self._forget(lambda op: isinstance(op, Naming) and op.synced)

    def _forget(self, synced: Callable[[Op], bool]) -> None:
        self.unsynced = [op for op in self.unsynced if not synced(op)]

    def _at(self, path: Path) -> Node:
        node = self._find(path)
        assert node is not None, f"{path} is not there"
        return node

    def _find(self, path: Path) -> Node | None:
        node: Node | None = self._top
        for name in path.relative_to(self.root).parts:
            node = node.now.get(name) if isinstance(node, Folder) else None
        return node

    def _place(self, path: Path) -> tuple[Folder, str]:
        above = self._at(path.parent)
        assert isinstance(above, Folder)
        return above, path.name


def read(root: Path) -> State:
    """What a real folder holds."""
    found: State = {}
    for folder, folders, files in os.walk(root):
        above = Path(folder).relative_to(root)
        found |= {str(above / name): None for name in folders}
        found |= {str(above / name): Path(folder, name).read_bytes() for name in files}
    return found


def put(root: Path, state: State) -> None:
    """Make a real folder that holds this; what was there goes."""
    shutil.rmtree(root, ignore_errors=True)
    os.mkdir(root)
    for path in sorted(state):
        content, at = state[path], f"{root}/{path}"
        if content is None:
            os.mkdir(at)
            continue
        with open(at, "wb", 0) as file:
            file.write(content)


def replayed(root: Path, calls: Iterable[Call], before: State) -> Iterator[Disk]:
    """The disk as it is before the first of these calls, and after each."""
    disk = Disk(root, before)
    yield disk
    for call in calls:
        disk.make(call)
        yield disk
