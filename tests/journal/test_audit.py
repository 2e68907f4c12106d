"""An audit passes what the program wrote, and refuses bytes, heads and tensors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.journal import codec, disk, frames, manifest
from onlinedpo.journal.audit.auditing import Audited, audit
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import AuditFailed, JournalDamaged, UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import (
    Derived,
    Record,
    Restored,
    Rewound,
    Sampled,
    Step,
    Verdict,
    Vote,
)
from tests.engine.forks import fork
from tests.journal import kit
from tests.journal.audited import go_on, parts
from tests.journal.forging import Forger
from tests.people.kit import Person, in_a_hurry, nothing
from tests.people.runs import back, work

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_JOURNALS = sorted(path.parent for path in GOLDEN.glob("*/*/000001.odj"))


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    """A copy of a run that a model judged."""
    shutil.copytree(judged, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def peoples(answered: Path, tmp_path: Path) -> Path:
    """A copy of a run that people judged."""
    shutil.copytree(answered, tmp_path / "people")
    return tmp_path / "people"


def refused(run: Path, named: str, kind: type[Exception] = AuditFailed) -> None:
    """The audit fails and says why; nothing is changed."""
    before = kit.files(run / "journal")
    with pytest.raises(kind, match=named):
        audit(run)
    assert kit.files(run / "journal") == before


# -- what passes -----------------------------------------------------------------


def test_a_run_that_a_model_judged_passes(judged: Path) -> None:
    """All of it was read again: verdicts, labels, steps, checkpoints and adapter."""
    found = audit(judged)

    assert found.position.number == 26
    assert found.checked == {"read_verdicts": 30}
    assert found.kinds[Verdict] == 30 and found.kinds[Step] == 4
    assert sorted(found.checkpoints.verified) == [2, 4]
    assert found.checkpoints.adapter == 4
    assert found.ledger.steps == 4 and found.tail is None


def test_a_run_that_people_judged_passes(answered: Path) -> None:
    """Label files, rows of CSV and JSON, late turns, and what a rewind put back."""
    found = audit(answered)

    checked = found.checked
    assert checked["label_files"] + checked["file_rows"] == found.kinds[Vote] == 24
    assert checked["file_rows"] == 2 and checked["unread_rows"] == 0
    assert found.kinds[Restored] == 6 and found.kinds[Rewound] == 1


def test_a_run_in_which_a_judge_asked_people_passes(mixed: Path) -> None:
    """With a budget, a random share, late lines, and pairs that were sampled anew."""
    found = audit(mixed)

    assert found.checked == {"read_verdicts": 48, "file_rows": 1}


@pytest.mark.parametrize("journal", GOLDEN_JOURNALS, ids=lambda p: p.name)
def test_the_journals_of_every_version_pass(journal: Path, tmp_path: Path) -> None:
    """Also those of forks, of other judges' verdicts, and after a power cut."""
    shutil.copytree(journal, tmp_path / "journal")

    assert audit(tmp_path).kinds.total() == len(kit.recorded(tmp_path / "journal"))


def test_every_beginning_of_a_run_passes(
    judged: Path, answered: Path, tmp_path: Path
) -> None:
    """A process may die after any frame, and within any; the rest is told."""
    for run in (judged, answered):
        for name, data in kit.files(run / "journal").items():
            place = tmp_path / run.parent.name / name
            whole = {k: v for k, v in kit.files(run / "journal").items() if k < name}
            spans = kit.spans(run / "journal" / name)
            end = len(spans.header)
            for frame in spans.frames:
                begun = bool(whole) or end > len(spans.header)
                for more in (0, len(frame) // 2):
                    kit.put(place / "journal", {**whole, name: data[: end + more]})
                    if begun:
                        found = audit(place)
                        assert (found.tail is not None) == bool(more)
                end += len(frame)


def test_a_frame_that_says_nothing_is_no_lie(run: Path) -> None:
    """Nothing follows from it."""
    forger = Forger(run)
    forger.insert(3)
    forger.write()
    assert audit(run).position.number == 27


def test_a_run_that_has_not_begun_is_no_run(tmp_path: Path) -> None:
    """There is nothing to vouch for."""
    with Journal.create(tmp_path / "journal", kit.RUN, by_table):
        pass
    with pytest.raises(UsageError, match="has not begun"):
        audit(tmp_path)


def test_a_rewound_run_passes_before_and_after_it_goes_on(peoples: Path) -> None:
    """The checkpoints of undone steps are told; then they are made again."""
    with in_a_hurry():
        back(peoples, 3)
        found = audit(peoples)
        assert found.checkpoints.undone
        work(peoples, Person(nothing))
    assert audit(peoples).checkpoints.undone == []


def test_a_fork_passes_and_says_whose_pairs_it_has(run: Path, tmp_path: Path) -> None:
    """Its checkpoint was copied; label files would name the other run."""
    fork(run, tmp_path / "new", at=2, learning_rate=1e-3)
    found = audit(tmp_path / "new")
    assert found.kinds[Derived] == 1
    assert found.checkpoints.verified == [2]

    go_on(tmp_path / "new")
    assert audit(tmp_path / "new").ledger.steps == 4


def test_a_fork_under_peoples_labels_passes(peoples: Path, tmp_path: Path) -> None:
    """Planned from the facts before, with what people had said."""
    fork(peoples, tmp_path / "new", labels="human", resolve="majority")

    found = audit(tmp_path / "new")
    assert found.kinds[Rewound] == 2 and found.ledger.steps == 0


def test_other_losses_and_dropout_pass(tmp_path: Path) -> None:
    """Micro-batches, dropout, and a loss that is no function of the margins."""
    for loss in ("hinge", "ipo"):
        more: dict[str, Any] = {"dpo_cpo_loss_type": loss, "micro_batch_size": 2}
        adapter = {"rank": 4, "dropout": 0.2, "scale": 4.0}
        settings = parts(tmp_path / loss, val_prompts=0, iters=2, **more)
        go_on(tmp_path / loss / "run", **settings, lora_parameters=adapter)
        assert audit(tmp_path / loss / "run").ledger.steps == 2


def test_observers_see_each_fact_with_what_stood_before_it(judged: Path) -> None:
    """In one pass, in order."""
    seen: list[tuple[Record, int]] = []

    def look(record: Record, ledger: Ledger) -> None:
        seen.append((record, ledger.steps))

    audit(judged, observers=[look])

    assert [record for record, _ in seen] == kit.recorded(judged / "journal")
    assert [n for record, n in seen if isinstance(record, Step)] == [0, 1, 2, 3]


# -- bytes -----------------------------------------------------------------------


def test_a_verdict_changed_without_its_chain_is_damage(run: Path) -> None:
    """Its header fits, its payload can be read; the chain tells."""
    path = run / "journal" / "000001.odj"
    spans = kit.spans(path)
    header = frames.decode_segment(spans.header)
    forger = Forger(run)
    number = forger.change(Verdict, winner="second")
    payload = codec.encode(dict(forger.frames)[number])
    old = spans.frames[number - 1]
    frame, _ = frames.encode_frame(header.run, bytes(frames.CHAIN), number, payload)
    spans.frames[number - 1] = frame[: -frames.CHAIN] + old[-frames.CHAIN :]
    path.write_bytes(spans.header + b"".join(spans.frames))

    refused(run, f"000001.odj: byte .*: frame {number} is damaged", JournalDamaged)


def test_two_frames_that_changed_places_are_damage(run: Path) -> None:
    """Wherever they stand."""
    path = run / "journal" / "000001.odj"
    spans = kit.spans(path)
    spans.frames[8], spans.frames[9] = spans.frames[9], spans.frames[8]
    path.write_bytes(spans.header + b"".join(spans.frames))

    refused(run, r"000001.odj: byte .*frame 10 stands where 9 belongs", JournalDamaged)


def test_another_runs_last_segment_is_damage(run: Path, answered: Path) -> None:
    """It does not continue this journal."""
    last = sorted((answered / "journal").glob("*.odj"))[1]
    (run / "journal" / "000002.odj").write_bytes(last.read_bytes())

    refused(run, "000002.odj: byte 0: .* not continue", JournalDamaged)


def test_with_its_checkpoints_a_rewritten_journal_is_found_out(run: Path) -> None:
    """They note the head of the chain: however well the lie fits otherwise."""
    forger = Forger(run)
    forger.change(Sampled, time=0.0)
    forger.write(checkpoints=True)

    refused(run, "not the frame that a checkpoint was made after", JournalDamaged)
    shutil.rmtree(run / "checkpoints")
    audit(run)


# -- heads -----------------------------------------------------------------------


def heads(run: Path) -> list[str]:
    """The head after each frame."""
    reader = Reader(run / "journal")
    return [frame.chain.hex() for _, frame in reader.whole_frames()]


def test_a_head_that_was_noted_is_found_again(judged: Path) -> None:
    """The newest or an earlier one, in full or its first digits, in any case."""
    noted = heads(judged)
    assert audit(judged).head == noted[-1]

    assert audit(judged, expected=noted[-1]).expected == len(noted)
    assert audit(judged, expected=noted[4][:16]).expected == 5
    assert audit(judged, expected=f" {noted[4].upper()} ").expected == 5
    assert audit(judged).expected is None


def test_the_head_of_a_process_that_wrote_nothing_is_a_head(run: Path) -> None:
    """`status` may have printed it after a process had only begun a segment."""
    with Journal.open(run / "journal", {}, by_table):
        pass
    found = audit(run)

    assert found.head not in heads(run)
    assert audit(run, expected=found.head).expected == 26


def test_a_head_of_another_journal_is_not_found(judged: Path, answered: Path) -> None:
    """Nor one that a lie has made anew."""
    with pytest.raises(AuditFailed, match="at no frame is the head"):
        audit(judged, expected=audit(answered).head)


def test_a_whole_rewritten_journal_is_found_out_by_its_head(run: Path) -> None:
    """By nothing else: all follows, but it is not what was there."""
    noted = audit(run).head
    forger = Forger(run)
    forger.change(Sampled, time=0.0)
    forger.write()
    audit(run)

    with pytest.raises(AuditFailed, match="rewritten"):
        audit(run, expected=noted)


@pytest.mark.parametrize("digits", ["abc", "x" * 16, "a" * 65, "0123 4567 89ab cdef"])
def test_what_is_no_head_is_a_usage_error(digits: str, judged: Path) -> None:
    """Too short, too long, or no digits."""
    with pytest.raises(UsageError, match="is no head of a journal"):
        audit(judged, expected=digits)


# -- checkpoints -----------------------------------------------------------------


def newest(run: Path) -> Path:
    """The folder of the newest checkpoint."""
    return max((run / "checkpoints").glob("step-*"))


def tensor_changed(folder: Path) -> None:
    """One number of one tensor, otherwise as it was."""
    path = folder / manifest.ADAPTER
    tensors: Any = mx.load(str(path))
    tensors = {name: mx.array(value) for name, value in tensors.items()}
    mx.eval(tensors)
    name = min(tensors)
    tensors[name] = tensors[name] + 1e-3
    path.unlink()
    mx.save_safetensors(str(path), tensors)


def sealed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and seal it again."""
    content = json.loads((folder / manifest.NAME).read_bytes())
    del content["sha256"]
    change(content)
    (folder / manifest.NAME).write_bytes(manifest.sealed(content))


def digests_mended(content: dict[str, Any], folder: Path) -> None:
    """The digests of the files as they are now."""
    content["files"] = {n: disk.file_digest(folder / n) for n in content["files"]}


def test_a_changed_tensor_is_named(run: Path) -> None:
    """By its file, where the manifest says what was written."""
    tensor_changed(newest(run))
    refused(run, "step-000004/adapters.safetensors: this is not what the manifest")


def test_a_changed_tensor_with_a_new_seal_is_found_by_its_digest(run: Path) -> None:
    """The digest of all tensors is in the manifest, and in the journal."""
    folder = newest(run)
    tensor_changed(folder)
    sealed(folder, lambda content: digests_mended(content, folder))
    refused(run, "step-000004: the digest of its tensors is .* the manifest says")

    state = manifest.read(folder)
    assert state
    other = state.state_of_files()
    sealed(folder, lambda content: content.update(state=other))
    refused(run, "step-000004: the digest of its tensors is .* the journal says")


def test_a_changed_manifest_is_named(run: Path) -> None:
    """Its seal is broken."""
    path = newest(run) / manifest.NAME
    path.write_bytes(path.read_bytes().replace(b'"step": 4', b'"step": 5'))
    refused(run, "step-000004: its manifest is not as it was written")


def test_a_checkpoint_from_before_a_commit_is_told(run: Path) -> None:
    """A process may die between the two: the step never happened."""
    folder = newest(run)
    later = folder.with_name("step-000005")
    shutil.copytree(folder, later)
    sealed(later, lambda content: content.update(step=5))

    found = audit(run)
    assert found.checkpoints.uncommitted == [5]
    assert sorted(found.checkpoints.verified) == [2, 4]


def test_another_adapter_than_the_checkpoints_is_named(run: Path) -> None:
    """What is published is what would be used."""
    tensor_changed(run / "adapters")
    refused(run, "adapters.safetensors: this is not the adapter of .* step 4")


def test_an_adapter_that_lags_behind_is_told(run: Path) -> None:
    """A process may die between a commit and the publishing."""
    older = min((run / "checkpoints").glob("step-*"))
    shutil.copyfile(older / manifest.ADAPTER, run / "adapters" / "new")
    (run / "adapters" / "new").replace(run / "adapters" / manifest.ADAPTER)
    assert audit(run).checkpoints.adapter == 2


def test_without_checkpoints_the_journal_is_audited_all_the_same(run: Path) -> None:
    """They are a cache of it."""
    shutil.rmtree(run / "checkpoints")

    found: Audited = audit(run)
    assert found.checkpoints.verified == [] and found.checkpoints.adapter is None
