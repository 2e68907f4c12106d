"""The real `mlx_lm.server`, as a process that can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path


class Served:
    """A model served on a port of this machine, dead until it is started."""

    def __init__(self, model: Path) -> None:
        self.model = model
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlx_lm", "server"),
                *("--model", str(self.model), "--port", str(self.port)),
            ],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = self._process.stderr
        assert log is not None
        told: list[str] = []
        for line in log:
            told.append(line)
            if "Starting httpd" in line:
                break
        else:
            raise AssertionError("".join(told))
        threading.Thread(target=log.read, daemon=True).start()

    def kill(self) -> None:
        """As a crash would end it; nothing where it is dead."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
