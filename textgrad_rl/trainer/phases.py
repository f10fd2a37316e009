"""The phases of a training step, each a function from records to records.

Graph.arun_many -> critic -> backward -> refine -> update_weights -> propose, update_prompts
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from textgrad_rl.methods.advantages import advantages
from textgrad_rl.methods.critique_rows import critique_rows
from textgrad_rl.methods.method import Method
from textgrad_rl.methods.reference import with_reference, with_teacher
from textgrad_rl.methods.update import update
from textgrad_rl.policies.protocol import Policy
from textgrad_rl.text.gate import Gate, GateVerdict
from textgrad_rl.text.textual_gradient_descent import Proposal, TextualGradientDescent
from textgrad_rl.trainer.evaluation import judged_runs, value_of
from textgrad_rl_graphs.feedback import Critic, Feedback
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.hashing import derive_seed
from textgrad_rl_graphs.node_feedback import NodeFeedback, ajudge_calls, critic_of
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Example


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """Everything a step made, for its records."""

    traces: Sequence[Trace] = ()
    feedback: Sequence[Feedback] = ()
    gradients: Gradients = field(default_factory=Gradients)
    refinements: Sequence[Refinement] = ()
    decisions: Sequence[Decision] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    thrown: Sequence[tuple[Trace, Feedback]] = ()
    """Judged runs of groups that others took the place of."""
    nodes: NodeFeedback = field(default_factory=dict)


def draw_examples(examples: Sequence[Example], count: int, step: int, seed: int) -> list[Example]:
    """Return the examples of a step (from 1): a new shuffle every epoch, each example once per epoch."""
    drawn: list[Example] = []
    position = (step - 1) * count
    while len(drawn) < count:
        epoch, offset = divmod(position + len(drawn), len(examples))
        order = list(range(len(examples)))
        random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        drawn += [examples[index] for index in order[offset : offset + count - len(drawn)]]
    return drawn


def update_weights(
    policies: Mapping[str, Policy],
    methods: Mapping[str, Method],
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    gradients: Gradients,
    refinements: Sequence[Refinement],
    *,
    credit: str,
    nodes: NodeFeedback,
    replace: bool,
    references: Mapping[str, Policy],
    step: int,
    seed: int,
) -> dict[str, float]:
    """Update every policy by the batch; return metrics, prefixed where there are several.

    Args:
        policies: by path.
        methods: of the same paths.
        traces: the samples.
        feedback: one per trace.
        gradients: the critiques of the traces' calls.
        refinements: attempts; kept ones are trained.
        credit: how scores become credit of calls.
        nodes: what critics of nodes said.
        replace: refinements take the place of the first samples of their group.
        references: frozen policies by path, for methods with a KL term.
        step: its number.
        seed: of the run; with the step it picks the rows of each update, where a method makes several.
    """
    metrics: dict[str, float] = {}
    for path, policy in policies.items():
        method = methods[path]
        if method.imitate == "critiques":
            rows = critique_rows(policy, traces, feedback)
        else:
            rows = advantages(
                traces, feedback, refinements, credit=credit, nodes=nodes, scale=method.scale, baseline=method.baseline,
                imitate=method.imitate, replace=replace,
            ).get(path, [])  # fmt: skip
        if method.loss.reference == "critique":
            rows = with_teacher(policy, rows, traces, gradients)
        elif method.loss.reference == "frozen":
            rows = with_reference(references[path], rows)
        found = update(policy, rows, method, seed=derive_seed(seed, "mini-batches", path, step))
        prefix = f"{path}." if len(policies) > 1 else ""
        metrics |= {prefix + name: value for name, value in found.items()}
    return metrics


@dataclass(frozen=True, slots=True)
class Decision:
    """A proposal, the gate's verdict on it (None without a gate, or when there was nothing to try), and the outcome."""

    proposal: Proposal
    old_text: str
    verdict: GateVerdict | None
    accepted: bool

    def record(self) -> dict[str, Any]:
        """Return what records keep of it."""
        proposal = self.proposal
        return {
            "prompt": proposal.path, "old": self.old_text, "new": proposal.text, "feedback": proposal.feedback,
            "reason": proposal.reason, "accepted": self.accepted,
            "gate": None if self.verdict is None else asdict(self.verdict),
        }  # fmt: skip

    def __str__(self) -> str:
        """Say in one line what happened."""
        path, verdict = self.proposal.path, self.verdict
        if self.proposal.reason:
            return f"{path}: nothing to try ({self.proposal.reason})"
        outcome = "accepted" if self.accepted else "rejected"
        gate = "" if verdict is None else f", gate {verdict.old:.2f} -> {verdict.new:.2f} (p = {verdict.p_value:.3f})"
        return f"{path}: {outcome}{gate}: {self.proposal.text}"


async def update_prompts(
    graph: Graph,
    proposals: Sequence[tuple[TextualGradientDescent, Proposal]],
    gate: Gate | None,
    examples: Sequence[Example],
    metric: Critic | None,
    *,
    step: int,
    seed: int,
) -> list[Decision]:
    """Let proposals through the gate one after the other, each beside what was accepted before it."""
    decisions = []
    for turn, (optimizer, proposal) in enumerate(proposals):
        old_text, verdict = proposal.prompt.text, None
        accepted = not proposal.reason
        if accepted and gate is not None:
            assert metric is not None
            drawn = gate.rotation(examples, step)
            verdict = await _compare(
                graph, proposal, gate, drawn, metric, seed=derive_seed(seed, "gate", turn), step=step
            )
            accepted = verdict.accepted
        if accepted:
            proposal.prompt.text = proposal.text
            optimizer.accept(proposal, verdict)
        elif verdict is not None:
            optimizer.reject(proposal, verdict)
        decisions.append(Decision(proposal, old_text, verdict, accepted))
    return decisions


async def _compare(
    graph: Graph, proposal: Proposal, gate: Gate, examples: Sequence[Example], metric: Critic, *, seed: int, step: int
) -> GateVerdict:
    """Run the examples with the old and with the new text; the prompt has its old text again afterwards."""
    prompt, old_text = proposal.prompt, proposal.prompt.text
    scores = []
    try:
        for text in (old_text, proposal.text):
            prompt.text = text
            _, feedback = await judged_runs(graph, examples, metric, samples=1, seed=seed, step=step)
            scores.append([value_of(item) for item in feedback])
    finally:
        prompt.text = old_text
    return gate.judge(*scores)


async def propose(
    optimizers: Mapping[str, TextualGradientDescent],
    prompts: Mapping[str, Prompt],
    gradients: Gradients,
    seed: int,
    step: int,
) -> list[tuple[TextualGradientDescent, Proposal]]:
    """Ask every prompt's optimizer for a proposal, all at once."""
    answers = await asyncio.gather(
        *(
            optimizer.apropose({path: prompts[path]}, gradients, seed=seed, step=step)
            for path, optimizer in optimizers.items()
        )
    )
    return [(optimizer, item) for optimizer, items in zip(optimizers.values(), answers, strict=True) for item in items]


def step_metrics(
    traces: Sequence[Trace], feedback: Sequence[Feedback], refinements: Sequence[Refinement]
) -> dict[str, float]:
    """Return the numbers of a step that do not come from the update itself."""
    scores: dict[str, list[float]] = {}
    for trace, item in zip(traces, feedback, strict=True):
        scores.setdefault(trace.group, [])
        if item.score is not None:
            scores[trace.group].append(item.score)
    for refined in refinements:
        if refined.kept and refined.feedback is not None and refined.feedback.score is not None:
            scores[refined.source.group].append(refined.feedback.score)
    return {
        "samples": len(traces),
        "groups": len(scores),
        "dead_groups": sum(len(set(values)) <= 1 for values in scores.values()),
        **_judged(feedback),
        **_components(feedback),
        "critiques": sum(bool(item.critique) and item.fault != "critic" for item in feedback),
        "contradicted": sum(item.components.get("contradicted", 0) for item in feedback),
        "refined": len(refinements),
        "refined_right": sum(item.feedback.correct is True for item in refinements if item.feedback is not None),
        "kept": sum(item.kept for item in refinements),
        "output_tokens": sum(trace.usage.generated_tokens for trace in traces) / max(1, len(traces)),
        "truncated": sum(map(_truncated, traces)),
    }


async def judge_refined(refinements: Sequence[Refinement]) -> NodeFeedback:
    """Return what critics of nodes say of the kept refinements of those nodes (scores alone, no critiques)."""
    kept = [(item.trace, item.call) for item in refinements if item.kept and item.trace is not None]
    calls = [(trace, trace.calls[call.key]) for trace, call in kept if critic_of(call) is not None]
    return await ajudge_calls(calls, critiques=False)


def node_metrics(traces: Sequence[Trace], nodes: NodeFeedback) -> dict[str, float]:
    """Return what critics of nodes gave the samples, by the path of the node: ``plan.reward``, ``plan.unscored``..."""
    found: dict[str, list[Feedback]] = {}
    for trace in traces:
        for call in trace.ordered() if nodes else ():
            if (item := nodes.get((trace.id, call.key))) is not None:
                found.setdefault(call.path, []).append(item)
    return {
        f"{path}.{name}": value
        for path, feedback in found.items()
        for name, value in {**_judged(feedback), **_components(feedback)}.items()
    }


def _judged(feedback: Sequence[Feedback]) -> dict[str, float]:
    """Return the means over what was scored, and how much was not."""
    scores = [item.score for item in feedback if item.score is not None]
    verdicts = [float(item.correct) for item in feedback if item.score is not None and item.correct is not None]
    return {
        "unscored": len(feedback) - len(scores),
        "policy_faults": sum(item.fault == "policy" for item in feedback),
        "reward": sum(scores) / max(1, len(scores)),
        "accuracy": sum(verdicts) / max(1, len(verdicts)),
    }


def _components(feedback: Sequence[Feedback]) -> dict[str, float]:
    """Return the mean of every component of the scores, over the cases that have it."""
    found: dict[str, list[float]] = {}
    for item in feedback:
        for name, value in item.components.items():
            found.setdefault(f"components.{name}", []).append(value)
    return {name: fmean(values) for name, values in found.items()}


def _truncated(trace: Trace) -> bool:
    """Whether an answer of the run was cut off at its token limit."""
    answers = (call.completion for call in trace.calls.values() if call.completion is not None)
    return any(answer.finish_reason == "length" for answer in answers)
