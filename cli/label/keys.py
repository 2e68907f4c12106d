"""Keys, one at a time: from a terminal as they are pressed, or from a pipe."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import termios
import tty
from typing import Self

END = ""
"""There will be no more keys."""

_WHOLE_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|[^\[O\x1b])?|.", re.S)
_ESCAPE_WITHIN = 0.05
"""Seconds within which the rest of an arrow key follows its escape character."""


class Keys:
    """What is typed.

    The terminal stays in one mode all the while, so that no key is echoed or held back
    while the next pair is drawn; it is put back as it was at the end.
    """

    def __init__(self) -> None:
        """Read standard input."""
        self._fd = 0
        self.typed = os.isatty(self._fd)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ahead = ""
        self._ended = False

    def __enter__(self) -> Self:
        """Have keys come as they are pressed."""
        if self.typed:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the terminal back."""
        if self.typed:
            # A terminal that is gone needs nothing put back.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def get(self, seconds: float) -> str | None:
        """The next key, `END` after the last; None if none comes within the seconds."""
        if not self._ahead and not self._ended and not self._read(seconds):
            return None
        if self._ahead == "\x1b":
            self._read(_ESCAPE_WITHIN)
        key = _WHOLE_KEY.match(self._ahead)
        if key is None:
            # A character of several bytes may have come in part.
            return END if self._ended else None
        self._ahead = self._ahead[key.end() :]
        # Ctrl-D is a key like others in this mode.
        return END if key[0] == "\x04" and self.typed else key[0]

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._fd, 1024)
        except OSError:
            # The terminal is gone: the connection was lost.
            data = b""
        self._ended = not data
        self._ahead += self._decoder.decode(data)
        return True
