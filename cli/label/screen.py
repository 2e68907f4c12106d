"""What `onlinedpo label` draws: one screenful on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group
from rich.control import Control
from rich.screen import Screen as Full
from rich.text import Text

from onlinedpo.cli.label.legend import Legend
from onlinedpo.states.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One screenful: a line on how far one is, a notice, a text, and the keys."""

    header: str
    notice: str
    body: tuple[Text, ...]
    legend: Legend
    typed: str | None = None
    """What has been typed of a note, while one is typed."""


class Screen:
    """A terminal, or a pipe, on which pages are shown."""

    def __init__(self) -> None:
        """Draw on standard output: in place where that can be done."""
        stream = sys.stdout
        if hasattr(stream, "reconfigure"):
            # A terminal that lacks a character shows another, and nothing fails.
            stream.reconfigure(errors="replace")
        self._console = Console(highlight=False, markup=False, emoji=False)
        self.plain = not stream.isatty() or self._console.is_dumb_terminal
        self._top = self._room = 0
        self._body: tuple[Text, ...] = ()
        self._width = 0
        self._lines: list[Text] = []
        self._notice, self._typing = "", False

    def __enter__(self) -> Self:
        """Take the terminal's other screen, so that the first one comes back."""
        if not self.plain:
            self._console.set_alt_screen(True)
            self._console.show_cursor(False)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        if not self.plain:
            self._console.show_cursor(True)
            self._console.set_alt_screen(False)

    def turn(self, pages: int) -> None:
        """Go down or up by a screenful; one line of the last one stays."""
        self._top = max(0, self._top + pages * max(1, self._room - 1))

    def draw(self, page: Page) -> None:
        """Show a page; a new text is shown from its beginning."""
        if self.plain:
            self._print(page)
            return
        # The terminal itself is asked: COLUMNS and LINES are not told of a change.
        width, height = os.get_terminal_size(sys.stdout.fileno())
        # A serial console does not know its size.
        width, height = width or 80, height or 24
        if page.body is not self._body:
            self._top = 0
        if page.body is not self._body or width != self._width:
            self._body, self._width = page.body, width
            self._lines = [
                line
                for text in page.body
                for line in text.wrap(self._console, width, overflow="fold")
            ]
        self._console.size = (width, height)
        head = [Text(_fitting(page.header, width), style="bold")]
        if page.notice:
            head += Text(visible(page.notice), style="italic").wrap(
                self._console, width, overflow="fold"
            )
        # However long a note is, most of the screen is for the pair.
        head = head[: max(1, height // 4)]
        foot = self._foot(page, width)
        self._room = max(1, height - len(head) - len(foot) - 1)
        self._top = min(self._top, max(0, len(self._lines) - self._room))
        shown = self._lines[self._top : self._top + self._room]
        blank = [Text("")] * (self._room - len(shown))
        above = [*head, *shown, *blank, self._rule(width)][: height - len(foot)]
        with self._console:
            self._console.control(Control.home())
            self._console.print(Full(Group(*above, *foot)), end="")

    def _rule(self, width: int) -> Text:
        count, end = len(self._lines), self._top + self._room
        dash = "─" if self._console.encoding.startswith("utf") else "-"
        told = ""
        if count > self._room:
            told = f" lines {self._top + 1} to {min(end, count)} of {count} "
            told += f"{dash * 2} space: more " if end < count else ""
        return Text((dash * 2 + told).ljust(width, dash)[:width], style="dim")

    def _foot(self, page: Page, width: int) -> list[Text]:
        foot = packed(page.legend, width)
        if page.typed is None:
            return foot
        # The end of a long note is what is being typed.
        room = max(1, width - len("note: ") - 1)
        note = Text("note: ", style="bold") + Text(visible(page.typed)[-room:])
        return [note + Text(" ", style="reverse"), *foot]

    def _print(self, page: Page) -> None:
        """Lines one after the other, where nothing can be drawn in place."""
        if page.typed is not None:
            self._typing = True
            if sys.stdin.isatty():
                # A blank and a step back wipe what a backspace took.
                print(f"\rnote: {visible(page.typed)} \b", end="", flush=True)
            return
        lines = [page.notice] if page.notice not in ("", self._notice) else []
        if page.body is not self._body:
            keys = [line.plain for line in packed(page.legend, 80)]
            lines = [page.header, page.notice, *(t.plain for t in page.body), *keys]
        if lines:
            end_of_note = "\n" if self._typing else ""
            print(end_of_note + "\n".join(map(visible, lines)) + "\n", flush=True)
        self._body, self._notice, self._typing = page.body, page.notice, False


def packed(legend: Legend, width: int) -> list[Text]:
    """The keys in as few lines as the width allows."""
    lines: list[Text] = []
    for keys, meaning in legend:
        entry = Text.assemble((keys, "bold"), " ", meaning)
        if lines and lines[-1].cell_len + 2 + entry.cell_len <= width:
            lines[-1] = Text("  ").join([lines[-1], entry])
        else:
            lines.append(entry)
    return lines


def _fitting(header: str, width: int) -> str:
    """The header, shorter where the terminal is narrow."""
    return header if len(header) <= width else header.replace(" labelled", "", 1)
