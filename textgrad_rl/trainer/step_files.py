"""The files of a committed step; see :mod:`textgrad_rl_graphs.records` for the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textgrad_rl.trainer.evaluation import Evaluation
from textgrad_rl.trainer.phases import StepOutcome
from textgrad_rl.trainer.report import StepReport
from textgrad_rl_graphs.node_feedback import NodeFeedback
from textgrad_rl_graphs.records import call_record, case_record, dump_json, dump_lines, request_record
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion, Request, Usage


def step_files(
    report: StepReport, outcome: StepOutcome, prompts: Mapping[str, str], asked: Sequence[tuple[Request, Completion]]
) -> dict[str, str]:
    """Return the texts of ``calls.jsonl``, ``cases.jsonl`` and ``step.json`` by name."""
    rerun = [item.trace for item in outcome.refinements if item.trace is not None]
    ran = (*outcome.traces, *(trace for trace, _ in outcome.thrown), *rerun)
    solved = (call_record(trace, call) for trace in ran for call in trace.ordered())
    # Requests are asked concurrently: their order is the clock's, so they are sorted by what they are.
    others = sorted((item for item in asked), key=lambda item: (item[0].role, item[0].seed, item[1].text))
    step = {
        "step": report.step,
        "metrics": dict(report.metrics),
        "usage": [report.usage.prompt_tokens, report.usage.generated_tokens, report.usage.calls],
        "prompts": dict(prompts),
        "prompt_news": list(report.prompts),
        "gradients": {path: gradient.counted() for path, gradient in outcome.gradients.prompts.items()},
        "failed_backward": [
            {"trace": item.trace_id, "call_key": item.call_key, "reason": item.failure.reason}
            for item in outcome.gradients.failed
        ],
        "proposals": [decision.record() for decision in outcome.decisions],
        "refinements": [_refinement_record(item) for item in outcome.refinements],
        "thrown": [case_record(*judged) for judged in outcome.thrown],
        "evaluation": None if report.evaluation is None else report.evaluation.record(),
    }
    return {
        "calls.jsonl": dump_lines(
            [*(record for record in solved if record is not None), *(request_record(*item) for item in others)]
        ),
        "cases.jsonl": dump_lines(
            [
                *(case_record(trace, item) for trace, item in zip(outcome.traces, outcome.feedback, strict=True)),
                *(_node_record(trace, call, outcome.nodes) for trace in ran for call in _judged(trace, outcome.nodes)),
            ]
        ),
        "step.json": dump_json(step),
    }


def read_report(record: Mapping[str, Any], steps: int) -> StepReport:
    """Return the report of a committed step from its ``step.json``."""
    prompt_tokens, generated, calls = record["usage"]
    found = record["evaluation"]
    evaluation = None if found is None else Evaluation(**found)
    return StepReport(
        record["step"], steps, record["metrics"], record["prompt_news"], evaluation,
        Usage(prompt_tokens, generated, calls),
    )  # fmt: skip


def _judged(trace: Trace, nodes: NodeFeedback) -> Iterator[Call]:
    """Yield the calls of a run that the critic of their node judged."""
    yield from (call for call in trace.ordered() if (trace.id, call.key) in nodes) if nodes else ()


def _node_record(trace: Trace, call: Call, nodes: NodeFeedback) -> dict[str, Any]:
    """Return the record of a node's judged answer: that of a run, with the answer in the place of the output."""
    record = case_record(trace, nodes[trace.id, call.key])
    return {**record, "output": call.text, "node": call.path, "call_key": call.key}


def _refinement_record(item: Refinement) -> dict[str, Any]:
    trace, completion, feedback = item.trace, item.completion, item.feedback
    return {
        "source": item.source.id,
        "call_key": item.call.key,
        "node": item.call.path,
        "critique": item.critique,
        "text": None if completion is None else completion.text,
        "score": None if feedback is None else feedback.score,
        "correct": None if feedback is None else feedback.correct,
        "case": None if trace is None or feedback is None else case_record(trace, feedback),
        "kept": item.kept,
        "failure": None if item.failure is None else item.failure.reason,
        "replayed": 0 if trace is None else trace.replayed,
        "live": 0 if trace is None else trace.live,
        "diverged": [] if trace is None else list(trace.diverged),
    }
