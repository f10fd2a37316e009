"""Log-probabilities of a reference beside those of the policy: a frozen copy (KL), or the policy shown the critique."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textgrad_rl.methods.encode import question_ids
from textgrad_rl.policies.protocol import Policy
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.roles import RefineRole
from textgrad_rl_graphs.trace import Trace


def with_reference(reference: Policy, rows: Sequence[Row]) -> list[Row]:
    """Return the rows with their log-probabilities under another policy.

    Args:
        reference: usually a fork of the policy before its first step.
        rows: of the policy.
    """
    found = reference.log_probs(rows)
    return [replace(row, reference_logprobs=tuple(lr)) for row, lr in zip(rows, found, strict=True)]


def with_teacher(policy: Policy, rows: Sequence[Row], traces: Sequence[Trace], gradients: Gradients) -> list[Row]:
    """Return the rows with the log-probabilities that the policy gives their tokens when it is shown the critique.

    The teacher reads the refiner's prompt: question, response, critique. Rows without a critique stay as they are, and
    so do refinements and calls that go on from a conversation.

    Args:
        policy: student and teacher.
        rows: of the policy.
        traces: what the rows were made of.
        gradients: the critiques of their calls.
    """
    calls = {f"{trace.id}/{call.key}": (trace, call) for trace in traces for call in trace.calls.values()}
    taught: dict[int, Row] = {}
    for place, row in enumerate(rows):
        trace, call = calls[row.source]
        critique = gradients.values.get((trace.id, call.key))
        if row.kind == "sample" and critique and not {"history", "messages"} & set(call.inputs):
            messages = RefineRole().render(
                policy.dialect, question=call.messages[-1].content, response=call.text, critique=critique.text
            )
            taught[place] = replace(row, context=Segment(question_ids(policy, messages)))
    found = dict(zip(taught, policy.log_probs(list(taught.values())), strict=True))
    return [
        replace(row, reference_logprobs=tuple(found[place])) if place in found else row
        for place, row in enumerate(rows)
    ]
