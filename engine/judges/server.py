"""A judge's server over HTTP: calls that are tried again, and errors told apart.

What may pass is tried again: no connection, no answer in time, 408, 425, 429 and 5xx.
What will not pass ends the run at once: any other status that is no success.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue

import httpx2

from onlinedpo.engine.judges.replies import line, message, retry_after
from onlinedpo.states.errors import JudgeUnreachable, Unanswered, UsageError

LONGEST = 4 << 20
"""Bytes of a reply beyond which it is not read."""

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
_MAY_PASS = (408, 425, 429)
_AT_HOME = ("localhost", "127.0.0.1", "[::1]")
_TOO_LONG = re.compile(r"context.?(length|size|window)|too (long|many tokens)", re.I)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: the text, or the error for which there is none."""

    text: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a call has to be tried again, and how long the server asks to wait."""

    why: str
    wait: float = 0.0


class Refused(Unanswered):
    """The server understood the request, and will not have it."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str, status: int) -> None:
        """`status` is that of the reply."""
        super().__init__(message, hint=hint)
        self.status = status


class Server:
    """An OpenAI-compatible server.

    Its methods run on the thread of `Background`; `told` may be read on any other.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float, attempts: int, at_once: int
    ) -> None:
        """`url` is as people give it; `key` may be empty, and goes nowhere else."""
        self.url = url
        self.told: SimpleQueue[str] = SimpleQueue()
        """What the user should know while it is tried again."""
        self._base = base_url(url)
        self._key = key.strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise UsageError(
                "the key of the judge's server holds characters that cannot be sent",
                hint="See what the environment variable (judge_key_env) holds.",
            )
        self._timeout, self._attempts = timeout, attempts
        self._slots = asyncio.Semaphore(at_once)
        self._out = False
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            verify=_certificates(),
            # Whoever waits for a slot does not wait for an answer yet.
            limits=httpx2.Limits(max_connections=None),
            # A proxy leads away from this machine.
            mounts={f"all://{host}": None for host in _AT_HOME},
        )

    async def ask(
        self, path: str, body: object = None, *, calls: int | None = None
    ) -> Reply:
        """What the server replies: a POST of `body` as JSON, or a GET without one.

        Raises `JudgeUnreachable` after the last of so many calls, and `Refused`.
        """
        delay, trouble = _FIRST_DELAY, _Trouble("")
        most = calls or self._attempts
        for attempt in range(1, most + 1):
            async with self._slots:
                came = await self._call(path, body)
            if isinstance(came, Reply):
                self._out = False
                return came
            trouble = came
            if attempt == most or trouble.wait > self._timeout:
                break
            self._tell(trouble)
            await asyncio.sleep(max(delay, trouble.wait))
            delay = min(2 * delay, _LONGEST_DELAY)
        asks = f"; it asks to wait {trouble.wait:.0f} s" if trouble.wait else ""
        raise JudgeUnreachable(
            f"the judge at {self.url} cannot be reached: {trouble.why}{asks}",
            hint="Nothing was lost, and nothing was labelled for it. When the server is"
            " there again, go on with the same command.",
        )

    def _tell(self, trouble: _Trouble) -> None:
        """Once for each time that it is away."""
        if not self._out:
            self._out = True
            self.told.put(
                f"the judge at {self.url} does not answer ({trouble.why}):"
                " it is tried again"
            )

    async def _call(self, path: str, body: object) -> Reply | _Trouble:
        method = "GET" if body is None else "POST"
        data = bytearray()
        try:
            # A server that drips bytes keeps within the timeout of each.
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    method, self._base + path, content=_json(body), headers=_TYPE
                ) as response,
            ):
                packed = response.headers.get("Content-Encoding", "")
                if packed.strip().lower() not in _PACKED:
                    odd = Reply("", f"its reply is packed: {line(packed)}")
                    fine = response.is_success
                    return odd if fine else self._sorted(response, "", cut=False)
                # Not as text: that would be decoded by any codec that it names.
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > LONGEST:
                        break
        except (TimeoutError, httpx2.TimeoutException):
            return _Trouble(f"no answer within {self._timeout:g} s")
        except httpx2.DecodingError as error:
            return Reply("", f"its reply cannot be decoded: {line(str(error))}")
        except httpx2.ConnectError as error:
            return _Trouble(f"no connection ({line(str(error))})")
        except httpx2.HTTPError as error:
            return _Trouble(line(str(error)) or type(error).__name__)
        text = self._without_key(data.decode(errors="replace"))
        return self._sorted(response, text, cut=len(data) > LONGEST)

    def _sorted(
        self, response: httpx2.Response, text: str, *, cut: bool
    ) -> Reply | _Trouble:
        """A reply, a trouble that may pass, or `Refused`, by the status."""
        status = response.status_code
        if response.is_success:
            long = f"its reply is longer than {LONGEST} bytes"
            return Reply(text[:LONGEST], long if cut else "")
        why = f"HTTP {status} {message(text)}".strip()
        if status in _MAY_PASS or status >= 500:
            return _Trouble(why, retry_after(response.headers.get("Retry-After", "")))
        if status in (400, 413, 422) and _TOO_LONG.search(text):
            # That is a matter of this pair, and of no other.
            return Reply(text, f"it is too much for it: {why}")
        hint = "See --judge, --judge-model, --judge-key-env and --judge-parameters."
        if status in (401, 403):
            hint = "Put its key into the environment variable that judge_key_env names."
        elif response.is_redirect:
            where = self._without_key(response.headers.get("Location", "elsewhere"))
            why = f"HTTP {status}: it sends us to {line(where)}"
            hint = "If you trust that address, give it as --judge."
        raise Refused(
            f"the judge at {self.url} refuses: {why}", hint=hint, status=status
        )

    def _without_key(self, text: str) -> str:
        """Some servers say what key they were given."""
        return text.replace(self._key, "[key]") if self._key else text


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities that this machine trusts: to load them takes a moment."""
    return httpx2.create_ssl_context()


_PACKED = ("", "identity", "gzip", "deflate")
"""How a reply may be packed: in others a few bytes can become any number."""
_TYPE = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
}


def base_url(url: str) -> str:
    """The address under which the paths of the API stand: `/v1` where none is given.

    Raises `UsageError` for one that is no address, and for one with a secret in it:
    settings are kept.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise _no_address(url, str(error)) from error
    if not parsed.host:
        raise _no_address(url, "it names no host")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise UsageError(
            "the address of the judge holds more than scheme, host, port and path",
            hint="Settings are kept in the journal. Put a key into the environment"
            " variable that judge_key_env names.",
        )
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    if not re.search(r"/v[0-9]\w*(/|$)", path):
        path += "/v1"
    return str(parsed.copy_with(path=path))


def _no_address(url: str, why: str) -> UsageError:
    return UsageError(
        f"the judge's address '{url}' cannot be used: {why}",
        hint="Give it as http://host:port.",
    )


def _json(body: object) -> bytes | None:
    # Text of a model may hold halves of characters, which UTF-8 has not: as \ud800.
    return None if body is None else json.dumps(body).encode()
