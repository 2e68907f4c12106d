"""A server on this machine that answers as a test wants: real HTTP, and hostile."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request that came, and its number, from 0."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def question(self) -> str:
        """What the judge was asked."""
        return str(self.body["messages"][-1]["content"])

    @property
    def shown(self) -> tuple[str, str]:
        """Both answers, in the order in which they are shown."""
        lines = self.question.split("\n")
        a, b = (lines.index(f"Answer {letter}:") for letter in "AB")
        return lines[a + 2], lines[b + 2]


@dataclass(frozen=True)
class Answer:
    """What the server says; `act` does something else with the connection."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None


Script = Callable[[Call], Answer]


class _Server(ThreadingHTTPServer):
    """One that says nothing of who hung up: in this process it would be the run's."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing, unless the test itself is wrong."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Stub:
    """The server: where it is, what it was asked, and how it answers."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.most_at_once = 0
        self.asked = threading.Condition()
        """Notified of each call."""
        self._now = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Stub]:
        """Serve within the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def wait_for(self, calls: int) -> None:
        """Until so many calls came."""
        with self.asked:
            assert self.asked.wait_for(lambda: len(self.calls) >= calls, timeout=20)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One call."""
        size = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(size) or b"null")
        with self.asked:
            headers = dict(handler.headers.items())
            call = Call(len(self.calls), handler.path, headers, body)
            self.calls.append(call)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.asked.notify_all()
        try:
            answer = self.script(call)
        finally:
            with self.asked:
                self._now -= 1
        if answer.act:
            answer.act(handler)
            return
        handler.send_response(answer.status)
        said = {"Content-Type": "application/json"} | dict(answer.headers)
        for name, value in {"Content-Length": str(len(answer.body)), **said}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stub.answer(self)

            def do_GET(self) -> None:
                stub.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler


# -- what it can say -------------------------------------------------------------------


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """Any JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), named)


def says(
    content: Any,
    *,
    finish: Any = "stop",
    top: list[tuple[str, float]] | None = None,
    **message: Any,
) -> Answer:
    """A chat completion, with the likeliest first tokens if there are any."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    if top is not None:
        likeliest = [{"token": token, "logprob": value} for token, value in top]
        choice["logprobs"] = {"content": [{**likeliest[0], "top_logprobs": likeliest}]}
    return as_json({"object": "chat.completion", "model": "m", "choices": [choice]})


def refuses(status: int, message: str = "no", **headers: str) -> Answer:
    """An error as OpenAI words it."""
    return as_json({"error": {"message": message}}, status, **headers)


def lists(*models: str) -> Answer:
    """The models that it has."""
    return as_json({"object": "list", "data": [{"id": name} for name in models]})


def by_text(call: Call) -> Answer:
    """Prefers what comes later in the alphabet, and is quite sure."""
    a, b = call.shown
    high, low = ("A", "B") if a > b else ("B", "A")
    return says(high, top=[(high, -0.1), (low, -2.5), ("The", -5.0)])


def hangs(free: threading.Event) -> Answer:
    """Says nothing until it is set free."""
    return Answer(act=lambda handler: (free.wait(20), None)[1])


def drips(free: threading.Event, answer: Answer) -> Answer:
    """An answer, of which a byte comes now and then."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(answer.status)
        handler.end_headers()
        for byte in answer.body:
            if free.wait(0.02):
                return
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                return

    return Answer(act=act)


def breaks_off() -> Answer:
    """Promises more than it sends, and resets the connection."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.connection.close()

    return Answer(act=act)
