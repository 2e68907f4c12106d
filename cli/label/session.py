"""What each key does in `onlinedpo label`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.text import Text

from onlinedpo.cli.label.desk import Item, LabelDesk, Meanwhile
from onlinedpo.cli.label.keys import END, Keys
from onlinedpo.cli.label.legend import (
    ANSWERS,
    HELP,
    LEGEND,
    NOTE_KEYS,
    PAGES,
    TEXT_KEYS,
)
from onlinedpo.cli.label.screen import Page, Screen
from onlinedpo.cli.label.text import pair_text, titled
from onlinedpo.journal import plain_files
from onlinedpo.journal.label_folder import MAX_LABEL_FILE, LabelFolder
from onlinedpo.states.people.choices import Choice
from onlinedpo.states.visible import visible

TICK = 1.0
"""Seconds between two looks for new files."""

_TIMED = 3
"""Answers from which on the time left is told."""


class Session:
    """One person at one screen, from the first pair to the last key."""

    def __init__(
        self,
        run: Path,
        desk: LabelDesk,
        keys: Keys,
        screen: Screen,
        goes_on: Callable[[], bool],
    ) -> None:
        """`goes_on` says whether the run is working now."""
        self._run, self._desk = run, desk
        self._keys, self._screen, self._goes_on = keys, screen, goes_on
        self._item: Item | None = None
        self._body: tuple[Text, ...] = ()
        self._notice = self._note = ""
        self._diff = False
        self._since = 0.0
        self._seconds: list[float] = []

    def work(self) -> None:
        """Label until the person leaves, or nothing is left and nobody makes more."""
        self._turn_to(self._desk.next())
        while self._item or self._desk.left or self._desk.given or self._goes_on():
            self._draw()
            key = self._keys.get(TICK)
            if key is None:
                self._look()
            elif key in ("q", END):
                break
            else:
                self._press(key)
        self._desk.close()

    def farewell(self) -> str:
        """What was done, and how to go on."""
        done, left = len(self._seconds), self._desk.left
        lines = [f"{done} answer{'s' * (done != 1)} given, {left} left to label"]
        if self._note:
            lines.append("your note was not kept, since no answer was given with it")
        if not self._goes_on():
            lines.append(f"go on with: onlinedpo run {self._run}")
        return "\n".join(lines)

    # -- keys ------------------------------------------------------------------------

    def _press(self, key: str) -> None:
        if key in ANSWERS:
            self._wait_in_a_script()
            if self._item:
                self._answer(self._item, ANSWERS[key])
        elif key in PAGES:
            self._screen.turn(PAGES[key])
        elif key == "u":
            self._undo()
        elif key == "n" and self._item:
            self._note = self._type(self._note)
        elif key == "d" and self._item:
            self._diff = not self._diff
            self._compose()
        elif key == "g":
            self._read("Guidelines", self._guidelines())
        elif key == "?":
            self._read("Keys", HELP)

    def _answer(self, item: Item, choice: Choice) -> None:
        seconds = time.monotonic() - self._since
        try:
            self._desk.save(item, choice, seconds, self._note)
        except Meanwhile as told:
            self._turn_to(self._desk.next(), str(told))
        except OSError as error:
            self._notice = f"not saved: {error.strerror or error}. Try again."
        else:
            self._seconds.append(seconds)
            self._turn_to(self._desk.next())

    def _undo(self) -> None:
        try:
            taken = self._desk.undo()
        except Meanwhile as told:
            self._notice = str(told)
            return
        except OSError as error:
            self._notice = f"not taken back: {error.strerror or error}. Try again."
            return
        if taken is None:
            self._notice = "there is no answer of yours to take back"
            return
        item, given = taken
        self._turn_to(item, f"taken back: {given.choice}")
        self._note = given.note

    def _type(self, note: str) -> str:
        """A line as it is typed; the old one where the person thinks better of it."""
        typed = note
        while True:
            self._draw(typed)
            key = self._keys.get(TICK)
            if key in ("\r", "\n"):
                return " ".join(typed.split())
            if key in ("\x1b", END):
                return note
            if key in ("\x7f", "\b"):
                typed = typed[:-1]
            elif key == "\x15":
                typed = ""
            elif key and key.isprintable():
                typed += key

    def _read(self, title: str, text: str) -> None:
        """Show a text until a key is pressed."""
        body = titled(title, visible(text))
        page = Page(header=self._header(), notice="", body=body, legend=TEXT_KEYS)
        while True:
            self._screen.draw(page)
            key = self._keys.get(TICK)
            if key in PAGES:
                self._screen.turn(PAGES[key])
            elif key is not None:
                break
        self._notice = ""
        self._compose()

    def _wait_in_a_script(self) -> None:
        """Keys from a pipe are meant for pairs that are yet to come; a person's not."""
        while not self._item and not self._keys.typed and self._goes_on():
            self._draw()
            time.sleep(TICK)
            self._look()

    # -- what is shown -----------------------------------------------------------------

    def _look(self) -> None:
        """See what others did."""
        if self._item:
            self._desk.look()
        elif (item := self._desk.next()) or self._body_of_none() != self._body:
            self._turn_to(item)

    def _turn_to(self, item: Item | None, notice: str = "") -> None:
        self._item, self._note = item, ""
        if item and item.second and not notice:
            notice = "second look: you have labelled this pair before"
        self._notice = notice
        self._compose()
        self._since = time.monotonic()

    def _compose(self) -> None:
        """The text of what is shown now."""
        if not self._item:
            self._body = self._body_of_none()
            return
        name, pair = str(self._item.ask), self._item.pair
        self._body = pair_text(name, pair, diff=self._diff, plain=self._screen.plain)

    def _body_of_none(self) -> tuple[Text, ...]:
        if self._desk.left:
            told = "What is left to label is on other people's screens."
        elif self._goes_on():
            told = "Nothing is to be labelled now. New pairs come as the run goes on."
        else:
            told = f"Nothing is left to label. Go on with: onlinedpo run {self._run}"
        lines = [told]
        if illegible := self._desk.illegible:
            lines.append(f"Not to be read here; use an editor: {illegible[0]}")
        if self._desk.given:
            lines.append("u takes your last answer back.")
        lines.append("q leaves.")
        return (Text("\n".join(map(visible, lines))),)

    def _draw(self, typed: str | None = None) -> None:
        notices = [self._notice, f"note: {self._note}" if self._note else ""]
        page = Page(
            header=self._header(),
            notice="\n".join(filter(None, notices if typed is None else [])),
            body=self._body,
            legend=LEGEND if typed is None else NOTE_KEYS,
            typed=typed,
        )
        self._screen.draw(page)

    def _header(self) -> str:
        given = [given.choice.word for given in self._desk.given]
        skipped, left = given.count("skip"), self._desk.left
        told = f"{len(given) - skipped}/{len(given) + left} labelled"
        if skipped:
            told += f", {skipped} skipped"
        if len(self._seconds) >= _TIMED and left:
            told += f", {time_left(median(self._seconds) * left)}"
        return told

    def _guidelines(self) -> str:
        path = LabelFolder(self._run / "labels").guidelines
        try:
            raw = plain_files.read(path, MAX_LABEL_FILE, follow=True)
            return raw.decode(errors="replace")
        except OSError as error:
            return f"{path}: {error.strerror}"


def time_left(seconds: float) -> str:
    """How long the rest takes, as far as anybody should believe it."""
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes else "less than a minute left"
