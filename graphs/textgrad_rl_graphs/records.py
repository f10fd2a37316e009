"""Records, schema 1: what a run directory holds, and how a step is committed.

    run.json                schema and fingerprint of the run
    steps/000007/           one folder per step, there whole or not at all
        calls.jsonl         one line per model call: tokens, log-probabilities, versions
        cases.jsonl         one line per judged trace: feedback
        step.json           gradients, proposals with the gate's verdict, refinements, metrics, evaluation
    checkpoints/000010/     prompts, policies, state of the loop
    journal/000010.jsonl    paid answers since checkpoint 10
    timing.jsonl            seconds and dollars; kept apart, so that the rest is the same for the same run

A step commits by writing a hidden folder, fsync, rename. JSON is written with sorted keys.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, final

from textgrad_rl_graphs.errors import ConfigError, RecordsError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.journal import FileJournal, cannot_write, json_text
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion, Request

SCHEMA = 1

Resume = Literal["auto", "never", "must"]


@final
class RunDirectory:
    """The records of one run on disk.

    Args:
        path: the folder; made when it is not there.
        fingerprint: what the run is, as names and short texts; a run is only continued by its equal.
        resume: ``"auto"`` goes on where a run stopped or starts a new one, ``"never"`` refuses a used folder,
            ``"must"`` refuses an empty one.

    Raises:
        RecordsError: for a folder of another run (with the difference), or one that cannot be written.
    """

    def __init__(self, path: str | Path, fingerprint: Mapping[str, str], resume: Resume = "auto") -> None:
        """Open or create the folder and clear away what a kill left unfinished."""
        if resume not in ("auto", "never", "must"):
            raise ConfigError(f"resume is 'auto', 'never' or 'must', got {resume!r}")
        self.path = Path(path)
        known = self.path / "run.json"
        if known.exists():
            if resume == "never":
                raise RecordsError(f"{self.path} holds a run already; choose another run_dir or resume='auto'")
            _check_fingerprint(self.path, read_json(known), fingerprint)
        elif resume == "must":
            raise RecordsError(f"resume='must', but {self.path} holds no run")
        self._guard(self._prepare, known, fingerprint)
        self._journal: FileJournal | None = None

    def _prepare(self, known: Path, fingerprint: Mapping[str, str]) -> None:
        for name in ("steps", "checkpoints"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
            for leftover in (self.path / name).glob(".*"):
                shutil.rmtree(leftover)
        current = self._journal_path()
        for old in (self.path / "journal").glob("*.jsonl"):
            if old != current:  # killed between a checkpoint and the end of its journal
                old.unlink()
        if not known.exists():
            _write_file(known, dump_json({"schema": SCHEMA, "fingerprint": dict(fingerprint)}))

    def _guard(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except OSError as error:
            raise RecordsError(cannot_write(Path(error.filename or self.path), error)) from error

    def journal(self) -> FileJournal:
        """Return the journal of the answers since the last checkpoint."""
        if self._journal is None:
            self._journal = FileJournal(self._journal_path())
        return self._journal

    def _journal_path(self) -> Path:
        return self.path / "journal" / f"{self.last_checkpoint() or 0:06d}.jsonl"

    def last_step(self) -> int | None:
        """Return the number of the last committed step, None before the first."""
        return _last(self.path / "steps")

    def last_checkpoint(self) -> int | None:
        """Return the step of the last checkpoint, None before the first."""
        return _last(self.path / "checkpoints")

    def step_folder(self, step: int) -> Path:
        """Return the folder of a step."""
        return self.path / "steps" / f"{step:06d}"

    def read_step(self, step: int) -> dict[str, Any]:
        """Return ``step.json`` of a committed step."""
        return read_json(self.step_folder(step) / "step.json")

    def commit(self, step: int, files: Mapping[str, str]) -> bool:
        """Write the files of a step, all or none.

        A step that was committed before a kill is left as it is.

        Returns:
            False when the step was there already with other content (a run that is not deterministic).
        """
        folder = self.step_folder(step)
        if folder.exists():
            return all((folder / name).read_text("utf-8") == text for name, text in files.items())
        self._guard(_commit_folder, folder, files)
        return True

    def checkpoint(self, step: int, write: Callable[[Path], None], *, keep: int = 2) -> None:
        """Let ``write`` fill a checkpoint folder; then start a new journal and drop old ones.

        Args:
            step: the last step it contains.
            write: fills the folder it is given.
            keep: checkpoints that stay.
        """
        folder = self.path / "checkpoints" / f"{step:06d}"
        if folder.exists():
            return
        hidden = folder.with_name(f".{folder.name}")

        def action() -> None:
            hidden.mkdir()
            write(hidden)
            _sync_tree(hidden)
            hidden.rename(folder)
            _sync(folder.parent)
            for old in sorted(item for item in folder.parent.iterdir() if item.name.isdigit())[:-keep]:
                shutil.rmtree(old)

        self._guard(action)
        if self._journal is not None:
            self._journal.close()
            self._journal.path.unlink(missing_ok=True)
            self._journal = None

    def checkpoint_folder(self, step: int) -> Path:
        """Return the folder of a checkpoint."""
        return self.path / "checkpoints" / f"{step:06d}"

    def log_timing(self, entry: Mapping[str, Any]) -> None:
        """Append to ``timing.jsonl``."""

        def action() -> None:
            with (self.path / "timing.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, sort_keys=True) + "\n")

        self._guard(action)

    def write(self, name: str, text: str) -> None:
        """Write one file at the top of the folder, whole or not at all."""
        self._guard(_write_file, self.path / name, text)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def dump_json(value: object) -> str:
    """Return readable JSON that is the same for the same value."""
    return json_text(value, indent=1, sort_keys=True) + "\n"


def dump_lines(values: Iterable[object]) -> str:
    """Return JSON lines that are the same for the same values."""
    return "".join(json_text(value, sort_keys=True, separators=(",", ":")) + "\n" for value in values)


def call_record(trace: Trace, call: Call) -> dict[str, Any] | None:
    """Return the record of an LLM call of a trace; None for other calls and failed ones."""
    if not isinstance(call.node, LLM) or call.completion is None:
        return None
    return {
        "call_key": call.key,
        "example_id": trace.example_id,
        "sample": trace.sample,
        "node": call.path,
        "role": "solve",
        "context": "refine" if call.refined else "own",
        "prompt_version": call.prompt_version,
        **completion_record(call.completion, trainable=call.node.model.trainable),
    }


def request_record(request: Request, completion: Completion) -> dict[str, Any]:
    """Return the record of a critique, refinement, backward or rewrite call."""
    return {"role": request.role, "seed": request.seed, **completion_record(completion, trainable=False)}


def completion_record(completion: Completion, *, trainable: bool) -> dict[str, Any]:
    """Return what both kinds of calls record of an answer."""
    usage = completion.usage
    return {
        "model": completion.model,
        "weight_version": completion.weight_version,
        "prompt_ids": completion.prompt_ids,
        "output_ids": completion.output_ids,
        "logprobs": completion.logprobs,
        "loss_mask": [int(trainable)] * len(completion.output_ids),
        "text": completion.text,
        "usage": {"prompt_tokens": usage.prompt_tokens, "generated_tokens": usage.generated_tokens},
        "finish_reason": completion.finish_reason,
    }


def case_record(trace: Trace, feedback: Feedback) -> dict[str, Any]:
    """Return the record of a judged trace."""
    return {
        "trace": trace.id,
        "example_id": trace.example_id,
        "sample": trace.sample,
        "output": None if trace.output is None else trace.output.text,
        "failure": None if trace.failure is None else f"{trace.failure.where}: {trace.failure.reason}",
        "score": feedback.score,
        "correct": feedback.correct,
        "critique": feedback.critique,
        "fault": feedback.fault,
        "sees": feedback.sees,
        "components": dict(feedback.components),
    }


def _check_fingerprint(path: Path, run: Mapping[str, Any], mine: Mapping[str, str]) -> None:
    if run.get("schema") != SCHEMA:
        raise RecordsError(f"{path} has records of schema {run.get('schema')}, this version reads {SCHEMA}")
    theirs = run["fingerprint"]
    names = sorted(name for name in {*theirs, *mine} if theirs.get(name) != mine.get(name))
    if names:
        lines = [f"  {name}: there {theirs.get(name, '(none)')}, here {mine.get(name, '(none)')}" for name in names]
        raise RecordsError(
            f"{path} is the run of another configuration:\n" + "\n".join(lines) + "\nChoose another run_dir, or "
            "change the configuration back to go on with it."
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RecordsError: when it cannot be read.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecordsError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise RecordsError(f"{path} holds no JSON object")
    return value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in a JSON Lines file, e.g. ``calls.jsonl`` of a step.

    Raises:
        RecordsError: when it cannot be read.
    """
    try:
        # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
        return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    except (OSError, ValueError) as error:
        raise RecordsError(f"cannot read {path}: {error}") from error


def _last(folder: Path) -> int | None:
    return max((int(item.name) for item in folder.iterdir() if item.name.isdigit()), default=None)


def _commit_folder(folder: Path, files: Mapping[str, str]) -> None:
    hidden = folder.with_name(f".{folder.name}")
    hidden.mkdir()
    for name, text in files.items():
        (hidden / name).write_text(text, "utf-8")
    _sync_tree(hidden)
    hidden.rename(folder)
    _sync(folder.parent)


def _write_file(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.new")
    hidden.write_text(text, "utf-8")
    _sync(hidden)
    hidden.replace(path)


def _sync_tree(folder: Path) -> None:
    for item in folder.rglob("*"):
        if item.is_file():
            _sync(item)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
