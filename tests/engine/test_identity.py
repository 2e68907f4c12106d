"""Which model it is: found here or on the Hub, known by its files, or refused."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.models import locating
from onlinedpo.engine.models.identity import identify
from onlinedpo.states.errors import SettingsChanged, UsageError
from tests.engine.runs import Listener, go_on
from tests.engine.test_constancy import rewrite_weights
from tests.toys import prompts_file, toy_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


# -- by content ------------------------------------------------------------------


def touch_template(folder: Path) -> None:
    """A chat template in a file of its own."""
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")


def touch(name: str) -> Any:
    """Changes a JSON file of a model, in a way that nothing reads."""

    def change(folder: Path) -> None:
        file = folder / name
        told = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**told, "changed": True}))

    return change


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (rewrite_weights, "weights"),
        (touch("config.json"), "weights"),
        (touch("tokenizer_config.json"), "tokenizer"),
        (touch("generation_config.json"), "tokenizer"),
        (touch("special_tokens_map.json"), "tokenizer"),
        (touch_template, "tokenizer"),
    ],
    ids=["weights", "config", "tokenizer", "ends", "specials", "template"],
)
def test_a_model_that_changed_on_disk_is_refused_on_resume(
    change: Any, what: str, tmp_path: Path
) -> None:
    """With exit code 4, and what of it differs; the journal gets nothing more."""
    model = toy_model(tmp_path / "model")
    data = str(prompts_file(tmp_path / "data", 4))
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=1), model=str(model), judge=str(model), data=data)
    before = (run / "journal" / "000001.odj").read_bytes()
    change(model)

    with pytest.raises(SettingsChanged, match=f"the model changed.*{what}") as caught:
        go_on(run)
    assert caught.value.exit_code == 4
    assert (run / "journal" / "000001.odj").read_bytes() == before


def test_what_a_model_is_does_not_depend_on_where_it_lies(tmp_path: Path) -> None:
    """Nor on files that it is not made of; but on its own code."""
    one, other = toy_model(tmp_path / "one"), toy_model(tmp_path / "two" / "three")
    (other / "README.md").write_text("Read me.")
    (other / "adapters.safetensors").write_text("not its weights")
    first, second = identify(str(one)), identify(str(other))

    assert first.is_of(second)
    assert (first.weights, first.tokenizer) == (second.weights, second.tokenizer)
    (other / "modeling.py").write_text("raise SystemExit")
    assert not identify(str(other)).is_of(first)


# -- what is no model ------------------------------------------------------------


def cut_off(folder: Path) -> None:
    """A download that was not finished."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def header_only(folder: Path) -> None:
    """A file of a few bytes."""
    (folder / "model.safetensors").write_bytes(b"\x10\x00\x00")


def lfs_pointer(folder: Path) -> None:
    """What git leaves where the large files were not fetched."""
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (folder / "model.safetensors").write_text(text)


def lost_shard(folder: Path) -> None:
    """One of three weight files is there."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    named = {f"w{i}": f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": named}))


def pytorch(folder: Path) -> None:
    """Weights of PyTorch."""
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def gguf(folder: Path) -> None:
    """Weights of llama.cpp."""
    (folder / "model.safetensors").rename(folder / "model-q4.gguf")


def no_tokenizer(folder: Path) -> None:
    """Weights only."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def other_shape(folder: Path) -> None:
    """Weights of another model than the config's."""
    file = folder / "config.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "num_hidden_layers": 5}))


def own_code(folder: Path) -> None:
    """A model that brings its own code."""
    file = folder / "config.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "model_file": "mine.py"}))


def config_is(text: str) -> Any:
    """A config.json with this in it."""
    return lambda folder: (folder / "config.json").write_text(text)


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "typo": ("modle", "there is no such folder", "Did you mean"),
    "nowhere": ("a/b/c", "there is no such folder", "Give a folder"),
    "file": ("model/config.json", "it is a file", "Give the folder"),
    "gguf file": ("model-q4.gguf", "a GGUF file", "made from"),
    "adapter": ("adapter", "no config.json", "--resume-adapter-file"),
    "cut off": (cut_off, "its last 100 bytes are missing", "again"),
    "too short": (header_only, "no safetensors file", "again"),
    "pointer": (lfs_pointer, "its header is cut off", "again"),
    "lost shard": (lost_shard, "lacks 2 of the model's 3 weight files", "again"),
    "pytorch": (pytorch, "has PyTorch weights only", "mlx_lm.convert --hf-path"),
    "gguf": (gguf, "has GGUF weights only", "made from"),
    "no tokenizer": (no_tokenizer, "has no tokenizer", "Copy it"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json", "Give"),
    "broken config": (config_is("{"), "config.json cannot be read", "again"),
    "other config": (config_is("[]"), "names no model_type", "Give"),
    "unknown type": (
        config_is('{"model_type": "nobody"}'),
        "Model type nobody not supported",
        "mlx-lm can load",
    ),
    "unknown shape": (config_is('{"model_type": "qwen3"}'), "could not be", "mlx-lm"),
    "other shape": (other_shape, "could not be loaded: Missing", "mlx-lm"),
    "own code": (own_code, "custom module", "--trust-remote-code"),
}


@pytest.mark.parametrize(
    ("whose", "mistake"),
    [
        *(("model", mistake) for mistake in MISTAKES),
        *(("judge", mistake) for mistake in ("typo", "pytorch", "no tokenizer")),
        ("reference_model_path", "typo"),
    ],
)
def test_what_is_no_model_is_named_in_one_line(
    whose: str, mistake: str, tmp_path: Path
) -> None:
    """With what was tried and what to do, code 2, and nothing is half-made."""
    what, told, hint = MISTAKES[mistake]
    folder = toy_model(tmp_path / "model")
    name = str(folder)
    if callable(what):
        what(folder)
    else:
        name = str(tmp_path / what)
        (tmp_path / "model-q4.gguf").write_text("GGUF")
        (tmp_path / "adapter").mkdir()
        (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    sound = str(toy_model(tmp_path / "sound"))
    names = {"model": sound, "judge": sound, whose: name}
    if whose == "model":
        names["judge"] = name
    data = str(prompts_file(tmp_path / "data", 4))

    with pytest.raises(UsageError) as caught:
        go_on(tmp_path / "run", **names, data=data)

    message = str(caught.value)
    assert told in message
    assert "\n" not in message
    assert str(tmp_path) in message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_trusted_runs_its_own_code(tmp_path: Path) -> None:
    """Only then; the code is part of what the model is."""
    model = toy_model(tmp_path / "model")
    own_code(model)
    code = model / "mine.py"
    code.write_text("from mlx_lm.models.qwen3 import Model, ModelArgs\n")
    data = str(prompts_file(tmp_path / "data", 4))
    wanted = {"model": str(model), "judge": str(model), "data": data, "iters": 1}
    go_on(tmp_path / "run", **wanted, trust_remote_code=True)

    code.write_text(code.read_text() + "# another line\n")
    with pytest.raises(SettingsChanged, match="weights"):
        go_on(tmp_path / "run", iters=2)


# -- the Hub ---------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as a model's download needs."""

    def do_GET(self) -> None:
        """Answer by the path that is asked for."""
        if "me/gated" in self.path:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        elif "me/toy" not in self.path:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif "no-such" in self.path:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif "/tree/" in self.path:
            files = [
                {
                    "type": "file",
                    "path": p.name,
                    "size": p.stat().st_size,
                    "oid": p.name,
                }
                for p in sorted(self.served.iterdir())
            ]
            self._send(200, json.dumps(files).encode())
        elif "/api/" in self.path:
            siblings = [{"rfilename": p.name} for p in sorted(self.served.iterdir())]
            asked = self.path.rsplit("/", 1)[-1].split("?")[0]
            commit = asked if len(asked) == len(COMMIT) else self.commit
            told = {"id": "me/toy", "sha": commit, "siblings": siblings}
            self._send(200, json.dumps(told).encode())
        else:
            body = (self.served / self.path.rsplit("/", 1)[-1]).read_bytes()
            self._send(200, body)

    do_HEAD = do_GET
    served: Path
    commit = COMMIT

    def _send(self, code: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(code)
        commit = COMMIT if COMMIT in self.path else self.commit
        digest = hashlib.sha256(body).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{digest}"', **(more or {})}
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A Hub on this machine, with a toy in it, and a cache of its own."""
    served = toy_model(tmp_path / "served")
    handler = type("Handler", (Hub,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "revision", "told", "hint"),
    [
        ("me/nothing", None, "no such model on the Hub, or a private one", "spelling"),
        ("me/gated", None, "only for those who accepted its terms", "hf auth login"),
        ("me/toy", "no-such", "has no revision 'no-such'", "branch or tag"),
        ("no good id", None, "this is no Hub id", "Give a folder"),
    ],
)
def test_what_the_hub_does_not_give_is_named(
    name: str, revision: str | None, told: str, hint: str, hub: type[Hub]
) -> None:
    """Unknown, gated, another revision, or no id at all: one line each."""
    with pytest.raises(UsageError) as caught:
        identify(name, revision)

    assert f"the model '{name}' could not be found: " in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in caught.value.hint


def test_without_a_network_the_hub_could_not_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what was tried; what was downloaded before is found."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(UsageError, match="no folder of that name, and the Hub could"):
        identify("me/toy")


def test_a_model_of_the_hub_is_known_by_its_commit(hub: type[Hub]) -> None:
    """A branch is one commit today; the journal keeps which."""
    for revision in (None, "main", COMMIT):
        found = identify("me/toy", revision)
        assert found.revision == COMMIT
        assert found.path == locating.locate("me/toy", revision)


def test_a_run_goes_on_with_the_revision_that_it_began_with(
    hub: type[Hub], tmp_path: Path
) -> None:
    """What is newest on the Hub may change meanwhile, for the policy and the judge."""
    data = str(prompts_file(tmp_path / "data", 4))
    wanted = {"model": "me/toy", "judge": "me/toy", "data": data, "iters": 2}
    whole = go_on(tmp_path / "whole", **wanted)
    go_on(tmp_path / "run", Listener(stop_after=1), **wanted)
    rewrite_weights(hub.served)
    hub.commit = COMMIT[::-1]

    assert go_on(tmp_path / "run") == whole
