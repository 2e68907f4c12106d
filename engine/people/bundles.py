"""stub"""

from __future__ import annotations

from onlinedpo.engine.people.reading import Circumstances
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.looks import Saved
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings

MAX_FILE = 64 << 20


def take(
    dropped: Saved,
    folder: LabelFolder,
    journal: Journal,
    settings: Settings,
    about: Circumstances,
) -> int:
    """Nothing yet."""
    return 0
