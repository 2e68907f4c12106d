"""A function of the user's, found by name and called: every mistake in it is told.

It runs in this process and may do what any code may: it is the user's own.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from onlinedpo.engine.judges.user_errors import line_of_call, line_of_import, told
from onlinedpo.journal import disk
from onlinedpo.states.errors import JudgeFailed, UsageError

Shape = Literal["pairwise", "reward"]

_FORM = "Give it as python:MODULE:FUNCTION, for example python:prefer:shorter for the"
_FORM += " function 'shorter' in prefer.py."


MEND = (
    "Mend it. A run that has begun takes a changed function for another judge: go on"
    " in a fork of it (onlinedpo fork RUN NEW --judge NAME)."
)


@dataclass(frozen=True, slots=True)
class UserCode:
    """What the user wrote, ready to be called."""

    name: str
    """As the setting has it: python:module:function."""
    function: str
    shape: Shape
    source: str
    """Digest of the files in which it is written."""
    keywords: frozenset[str]
    """The names of its parameters."""
    _call: Callable[..., Any]
    _files: frozenset[str]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What it returns; raises `JudgeFailed` where it raises anything."""
        try:
            found = self._call(*arguments, **named)
        except (Exception, SystemExit) as error:
            where = line_of_call(error, self._files)
            raise JudgeFailed(
                f"the judge {self.name} raised {told(error)}{where}: nothing was"
                " labelled",
                hint=MEND,
            ) from error
        if inspect.isawaitable(found):
            _close(found)
            raise _is_async(self.name)
        return found


def find(name: str) -> UserCode:
    """The function that `python:module:function` names; raises `UsageError`.

    The module is looked for in the working directory, and then among what is installed.
    What has a method `judge` (TRL's judges), or a class of it, is asked by that method.
    """
    _, _, rest = name.partition(":")
    module_name, colon, path = rest.partition(":")
    if not (module_name and colon and path):
        raise UsageError(
            f"the judge '{name}' does not name a function of a module", hint=_FORM
        )
    module = _imported(name, module_name)
    found = _attribute(name, module, path)
    call = _callable(name, found)
    parameters = _parameters(call)
    files = _files(module, found)
    code = UserCode(
        name=name,
        function=path,
        shape=_shape(call, parameters),
        source=_digest(files),
        keywords=frozenset(p.name for p in parameters),
        _call=call,
        _files=frozenset(map(str, files)),
    )
    _must_fit(code, call)
    return code


def _imported(name: str, module: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        # It stays: the module may import its neighbours later.
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module}.".startswith(f"{missing}."):
            raise UsageError(
                f"the judge '{name}' could not be found: there is no module '{missing}'"
                " in the working directory, nor is one installed",
                hint=_FORM,
            ) from error
        raise UsageError(
            f"the judge '{name}': its module could not be imported:"
            f" {told(error)}{line_of_import(error)}",
            hint="Mend the module, or install what it needs.",
        ) from error


def _attribute(name: str, module: ModuleType, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            names = [n for n in dir(found) if not n.startswith("_")]
            near = difflib.get_close_matches(part, names, n=1)
            raise UsageError(
                f"the judge '{name}' could not be found: '{module.__name__}' has no"
                f" '{path}' ({module.__file__})",
                hint=f"Did you mean '{near[0]}'?" if near else _FORM,
            )
        found = getattr(found, part)
    return found


def _callable(name: str, found: Any) -> Callable[..., Any]:
    """What is to be called: a judge's method, or the function itself."""
    if inspect.isclass(found):
        if not callable(getattr(found, "judge", None)):
            raise UsageError(
                f"the judge '{name}' is a class without a method 'judge'", hint=_FORM
            )
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"the judge '{name}' is a class that could not be made without"
                f" arguments: {told(error)}",
                hint="Make one in your module, and name that instead of the class.",
            ) from error
    call = getattr(found, "judge", found)
    if not callable(call):
        raise UsageError(
            f"the judge '{name}' is no function, but of type {type(found).__name__}",
            hint=_FORM,
        )
    if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
        raise _is_async(name)
    function: Callable[..., Any] = call
    return function


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return [*inspect.signature(call).parameters.values()]
    except (ValueError, TypeError):
        # Of what is written in C this may be unknown.
        return []


def _shape(call: Callable[..., Any], parameters: list[inspect.Parameter]) -> Shape:
    """Which of TRL's two shapes it has: its reward functions must take **kwargs."""
    if getattr(call, "__name__", "") == "judge" and inspect.ismethod(call):
        return "pairwise"
    kinds = {parameter.kind for parameter in parameters}
    return "reward" if inspect.Parameter.VAR_KEYWORD in kinds else "pairwise"


def _must_fit(code: UserCode, call: Callable[..., Any]) -> None:
    """It can be called with prompts and completions and nothing else."""
    try:
        signature = inspect.signature(call)
    except (ValueError, TypeError):
        return
    try:
        if code.shape == "reward":
            signature.bind(prompts=[], completions=[])
        else:
            signature.bind([], [])
    except TypeError as error:
        takes = (
            "prompts=..., completions=..."
            if code.shape == "reward"
            else ("prompts and completions")
        )
        raise UsageError(
            f"the judge {code.name} cannot be called with {takes}: {error}",
            hint="What else it needs must have a default.",
        ) from error


def _files(module: ModuleType, found: Any) -> list[Path]:
    """The file of the module that was named, and of what it has from elsewhere."""
    definition = found
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        definition = type(found)
    names = {getattr(module, "__file__", None)}
    with suppress(TypeError):
        names.add(inspect.getsourcefile(inspect.unwrap(definition)))
    return sorted({Path(name) for name in names if name})


def _digest(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{disk.file_digest(file)}\0".encode())
    return whole.hexdigest()


def _is_async(name: str) -> UsageError:
    return UsageError(
        f"the judge {name} is asynchronous, and it is called without an event loop",
        hint="Give an ordinary function; it may call asyncio.run itself.",
    )


def _close(found: Any) -> None:
    """A coroutine that is never awaited would complain when it goes."""
    if inspect.iscoroutine(found):
        found.close()
