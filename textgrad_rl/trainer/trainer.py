"""The trainer: one loop that improves prompts and weights.

    forward -> critique -> backward -> refine -> step (weights first, then prompts through the gate) -> commit

Left out so far: the credits ``"branch"`` and ``"intervention"``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import final
from warnings import warn

from textgrad_rl.methods.experts import aexperts, check_solutions
from textgrad_rl.methods.method import Method
from textgrad_rl.policies.protocol import Policy
from textgrad_rl.tasks.task import Task
from textgrad_rl.text.gate import Gate
from textgrad_rl.text.textual_gradient_descent import TextualGradientDescent
from textgrad_rl.trainer import checkpoint, phases
from textgrad_rl.trainer.diagnosis import TrainingWarning, problems
from textgrad_rl.trainer.evaluation import Evaluation, aevaluate
from textgrad_rl.trainer.fingerprint import fingerprint
from textgrad_rl.trainer.refill import refilled
from textgrad_rl.trainer.report import Report, StepReport
from textgrad_rl.trainer.settings import at_least_one, by_path, check_fit, exact
from textgrad_rl.trainer.step_files import read_report, step_files
from textgrad_rl_graphs.backward import abackward
from textgrad_rl_graphs.budget import Budget
from textgrad_rl_graphs.errors import BudgetError, ConfigError
from textgrad_rl_graphs.feedback import Case, Critic, Feedback
from textgrad_rl_graphs.given_critic import as_critic
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.hashing import derive_seed, digest
from textgrad_rl_graphs.judging import ajudge
from textgrad_rl_graphs.lock import exclusive
from textgrad_rl_graphs.node_feedback import ajudge_nodes, node_critics
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.records import Resume, RunDirectory, dump_json
from textgrad_rl_graphs.refine import Refine, arefine
from textgrad_rl_graphs.session import Session
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Example, Usage

Callback = Callable[[StepReport], None]


@final
class Trainer:
    """Trains the prompts and the weights of a graph.

    Args:
        graph: the program.
        critic: scores and critiques its outputs; training learns from it.
        metric: the fixed yardstick of evaluation and gate. The training critic only if it is passed here too.
        text: the optimizer of the prompts; one for all, a mapping path -> optimizer, or None to freeze them.
        weights: the method that updates the policies; one for all, a mapping path -> method, or None to freeze them.
        refine: which responses are refined; None for none.
        refill: how often the groups of a step whose samples all got the same score are replaced by fresh examples
            (DAPO's dynamic sampling); what is thrown away counts in the budget. 0 for never.
        credit: how scores become credit of calls: ``"shared"`` gives every call its trace's, ``"local"`` gives calls of
            nodes that have a critic, ``LLM(..., critic=...)``, their own.
        samples: runs per example.
        examples_per_step: examples per step.
        gate: what a proposed prompt has to pass; None lets every proposal in.
        budget: upper limits of the whole run; see :class:`textgrad_rl_graphs.budget.Budget`.
        evaluate_every: steps between evaluations on the validation split; None for none.
        evaluate_examples: how many of its examples are used, None for all.
        checkpoint_every: steps between full checkpoints.
        run_dir: where records go; None keeps none.
        resume: ``"auto"``, ``"never"`` or ``"must"``; see :class:`textgrad_rl_graphs.records.RunDirectory`.
        deterministic: same machine, versions and threads give byte-identical records. Needs policies loaded with
            ``deterministic=True``.
        seed: every seed of the run is derived from it.
        callbacks: called with every StepReport, e.g. ``textgrad_rl.Progress()``.

    Raises:
        ConfigError: for settings that cannot work together, or a graph with nothing to train.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        critic: Critic,
        metric: Critic | None = None,
        text: TextualGradientDescent | Mapping[str, TextualGradientDescent] | None = None,
        weights: Method | Mapping[str, Method] | None = None,
        refine: Refine | None = None,
        refill: int = 0,
        credit: str = "shared",
        samples: int = 8,
        examples_per_step: int = 16,
        gate: Gate | None = Gate(),  # noqa: B008  # frozen, so sharing it is safe
        budget: Budget | None = None,
        evaluate_every: int | None = 10,
        evaluate_examples: int | None = 256,
        checkpoint_every: int = 10,
        run_dir: str | Path | None = None,
        resume: Resume = "auto",
        deterministic: bool = False,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Check that the parts fit; nothing runs."""
        parameters = graph.parameters()
        self.graph = graph
        self.critic = as_critic(critic, "Trainer(critic=...)")
        self.metric = None if metric is None else as_critic(metric, "Trainer(metric=...)")
        self.prompts = {path: item for path, item in parameters.items() if isinstance(item, Prompt)}
        self.policies: dict[str, Policy] = {
            path: item for path, item in parameters.items() if not isinstance(item, Prompt)  # type: ignore[misc]
        }  # fmt: skip
        self.text = by_path("Prompt", "text", text, self.prompts)
        self.weights = by_path("policy", "weights", weights, self.policies)
        self.refine = refine
        if refill < 0:
            raise ConfigError(f"refill must be at least 0, got {refill}")
        self.refill = refill
        self.credit = credit
        self.samples = at_least_one("samples", samples)
        self.examples_per_step = at_least_one("examples_per_step", examples_per_step)
        self.gate = gate if self.text else None
        self.budget = budget or Budget()
        self.evaluate_every = evaluate_every if metric is not None else None
        self.evaluate_examples = evaluate_examples
        self.checkpoint_every = at_least_one("checkpoint_every", checkpoint_every)
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.resume = resume
        self.seed = seed
        self.callbacks = tuple(callbacks)
        self.deterministic = deterministic
        check_fit(self)
        self._references = {
            path: self.policies[path].fork(f"{self.policies[path].name} at first")
            for path, method in self.weights.items()
            if method.loss.reference == "frozen"
        }
        self._identity = fingerprint(self)
        self._session = Session()

    async def aevaluate(self, examples: Sequence[Example], *, samples: int = 1) -> Evaluation:
        """Run the graph on examples and judge it by the metric; two calls with one trainer are paired by seeds.

        Raises:
            ConfigError: without a metric.
            DataError: without examples, or when none could be scored.
        """
        if self.metric is None:
            raise ConfigError("evaluating needs a yardstick: Trainer(metric=...)")
        with self._session.phase("evaluate"):
            return await aevaluate(self.graph, examples, self.metric, samples=samples, seed=self.seed)

    evaluate = blocking(aevaluate)

    async def afit(self, task: Task, *, steps: int = 100) -> Report:
        """Train, from the last checkpoint of the run directory if there is one.

        A run that its budget stops in the middle of a step keeps what was committed; answers of the broken step are in
        the journal, and prompts have their texts of the last committed step (weights that had moved already stay so in
        this process). The same run with a larger budget goes on without paying for anything again.

        Args:
            task: train, gate and validation examples.
            steps: number of the last step; a run that is continued counts on from where it was.

        Raises:
            ConfigError: for a negative number of steps.
            DataError: for empty splits.
            RecordsError: for a run directory of another configuration, or one that another process writes.
        """
        if steps < 0:
            raise ConfigError(f"steps must be at least 0 (0 evaluates and trains nothing), got {steps}")
        self.check_data(task)
        started = time.perf_counter()
        with self._open(task) as directory:
            identity = {**self._identity, "data": task.digest}
            self._session = Session(
                None if directory is None else directory.journal(),
                recompute=frozenset(item.name for item in self.policies.values() if exact(item)),
                budget=self.budget,
                identity=digest(*identity.items()),
            )
            report = Report(usage=self._session.usage)
            try:
                await self._run(task, steps, directory, report, started)
            except Exception:
                await self._session.finish()  # what is paid is journaled, whatever went wrong
                raise
            finally:
                report.seconds = time.perf_counter() - started
                report.hits = self._session.cached
                self._session = Session()  # what is asked after the run is not part of it
            if directory is not None:
                directory.write("report.json", dump_json(report.summary()))
                if report.evaluations:
                    report.plot(directory.path / "accuracy.png")
        return report

    fit = blocking(afit)

    async def _run(
        self, task: Task, steps: int, directory: RunDirectory | None, report: Report, started: float
    ) -> None:
        """Do the steps that are left and the last evaluation, as far as the budget goes."""
        first = 0 if directory is None else self._restore(directory, report, steps)
        try:
            for step in range(first, steps + 1):
                if step and not self.budget.hard and (spent := self._spent(time.perf_counter() - started)):
                    report.stopped = spent
                    break
                with self._texts_kept():
                    await self._one(step, steps, task, directory, report)
            last = report.history[-1]
            if directory is not None:
                self._checkpoint(directory, last.step, report)
            if self.evaluate_every is not None and last.evaluation is None:
                report.history[-1] = replace(last, evaluation=await self._evaluate_split(task))
        except BudgetError:
            await self._session.finish()
            report.stopped = self._session.refused

    @contextmanager
    def _texts_kept(self) -> Iterator[None]:
        """Give every prompt its text back when the budget breaks a step off."""
        texts = {path: prompt.text for path, prompt in self.prompts.items()}
        try:
            yield
        except BudgetError:
            for path, text in texts.items():
                self.prompts[path].text = text
            raise

    async def _one(self, step: int, steps: int, task: Task, directory: RunDirectory | None, report: Report) -> None:
        """Run, commit and announce one step."""
        started = time.perf_counter()
        self._session.asked.clear()
        outcome = await self.astep(step, task, self._session) if step else phases.StepOutcome()
        for line in problems(outcome.metrics) if step else []:
            if line not in report.problems:
                report.problems.append(line)
                warn(f"step {step}: {line}", TrainingWarning, stacklevel=2)
        news = [str(decision) for decision in outcome.decisions if not decision.proposal.reason]
        item = StepReport(step, steps, outcome.metrics, news, usage=self._trained())
        if self.evaluate_every is not None and (step % self.evaluate_every == 0 or step == steps):
            item = replace(item, evaluation=await self._evaluate_split(task))
        if self._session.refused:  # somebody's `except Exception` swallowed it, and what came after is made of that
            raise BudgetError(self._session.refused)
        if directory is not None:
            self._commit(directory, item, outcome)
            if step % self.checkpoint_every == 0 or step == steps:  # 0 too: to start over needs the first state
                self._checkpoint(directory, step, report)
        item = replace(item, seconds=time.perf_counter() - started)
        if directory is not None:
            directory.log_timing({"step": step, "seconds": item.seconds, "usd": self._trained().usd})
        report.history.append(item)
        for callback in self.callbacks:
            callback(item)

    async def astep(
        self, step: int, task: Task, session: Session, *, update_weights: bool = True
    ) -> phases.StepOutcome:
        """Run the five phases once; nothing is recorded.

        Args:
            step: its number, from 1; picks the examples and is part of every seed.
            task: train and gate examples.
            session: counts its calls, by phase.
            update_weights: False leaves the weights alone, to see what a step costs.
        """
        seed = self.seed
        examples = phases.draw_examples(task.train, self.examples_per_step, step, seed)
        traces, feedback = await self._judged(examples, step, session)
        traces, feedback, thrown = await refilled(
            traces, feedback, task.train, times=self.refill,
            seed_for=lambda turn: derive_seed(seed, "refill", step, turn),
            judge=lambda fresh: self._judged(fresh, step, session),
        )  # fmt: skip
        with session.phase("critique"):
            nodes = await ajudge_nodes(traces)
        with session.phase("backward"):
            writer = next(iter(self.text.values())).model if self.text else None
            gradients = await abackward(
                traces, feedback, nodes=nodes, model=writer, parameters={*self.text, *self.weights}
            )
        refinements = []
        if self.refine is not None:
            with session.phase("refine"):
                refinements = await arefine(traces, gradients, self.critic, plan=self.refine)
        if any(method.experts for method in self.weights.values()):
            with session.phase("refine"):
                refinements += await aexperts(traces, self.critic)
        if self.credit == "local":
            with session.phase("refine"):
                nodes |= await phases.judge_refined(refinements)
        metrics = phases.step_metrics(traces, feedback, refinements) | {"trains_weights": float(bool(self.weights))}
        metrics |= phases.node_metrics(traces, nodes)
        if self.refill:
            metrics["refilled"] = len({trace.group for trace, _ in thrown})
        if self.weights and update_weights:
            metrics |= phases.update_weights(
                {path: self.policies[path] for path in self.weights}, self.weights, traces, feedback, gradients,
                refinements, credit=self.credit, nodes=nodes, replace=self.refine is not None and self.refine.replace,
                references=self._references, step=step, seed=seed,
            )  # fmt: skip
        with session.phase("rewrite"):
            proposals = await phases.propose(self.text, self.prompts, gradients, seed=seed, step=step)
        with session.phase("gate"):
            decisions = await phases.update_prompts(
                self.graph, proposals, self.gate, task.gate if self.gate else (), self.metric, step=step, seed=seed
            )
        return phases.StepOutcome(traces, feedback, gradients, refinements, decisions, metrics, thrown, nodes)

    async def _judged(
        self, examples: Sequence[Example], step: int, session: Session
    ) -> tuple[list[Trace], list[Feedback]]:
        """Run every example ``samples`` times and let the critic judge the runs."""
        with session.phase("rollout"):
            traces = await self.graph.arun_many(examples, samples=self.samples, step=step, seed=self.seed)
        with session.phase("critique"):
            return traces, await ajudge(self.critic, [Case.of(trace) for trace in traces])

    async def _evaluate_split(self, task: Task) -> Evaluation:
        return await self.aevaluate(task.validation[: self.evaluate_examples])

    def _trained(self) -> Usage:
        return self._session.total(without=("evaluate",))

    def _spent(self, seconds: float) -> str:
        return self.budget.spent(self._trained(), seconds)

    def check_data(self, task: Task) -> None:
        """Look at every split that will be used; an empty one raises and says what to do."""
        needed = {"train": True, "gate": self.gate is not None, "validation": self.evaluate_every is not None}
        for split in (name for name, need in needed.items() if need):
            examples = getattr(task, split)
            judge = self.critic if split == "train" else self.metric
            if (check := getattr(judge, "check", None)) is not None:
                check(examples)  # e.g. answers that the critic needs, before anything is paid
        for critic in node_critics(self.graph).values():
            if (check := getattr(critic, "check", None)) is not None:
                check(task.train)
        if any(method.experts for method in self.weights.values()):
            check_solutions(task.train)
        if self.gate is not None:
            self.gate.rotation(task.gate, 0)  # too few for anything to pass: an error now, not at the first proposal

    @contextmanager
    def _open(self, task: Task) -> Iterator[RunDirectory | None]:
        """Open the run directory, for this process alone; None without one."""
        if self.run_dir is None:
            yield None
            return
        with exclusive(self.run_dir / "lock", f"the run directory {self.run_dir}"):
            directory = RunDirectory(
                self.run_dir, {**self._identity, "data": f"{task.name} {task.digest}"}, self.resume
            )
            try:
                yield directory
            finally:
                directory.close()

    def _restore(self, directory: RunDirectory, report: Report, steps: int) -> int:
        """Load the last checkpoint and the reports before it; return the step to go on with."""
        last = directory.last_checkpoint()
        if last is None:
            return 0
        usage, report.problems = checkpoint.load(directory.checkpoint_folder(last), self.graph, self.text)
        self._session.usage.update(usage)
        report.history += [read_report(directory.read_step(step), steps) for step in range(last + 1)]
        return last + 1

    def _commit(self, directory: RunDirectory, item: StepReport, outcome: phases.StepOutcome) -> None:
        prompts = {path: prompt.text for path, prompt in self.prompts.items()}
        files = step_files(item, outcome, prompts, self._session.asked)
        if not directory.commit(item.step, files):
            warn(
                f"step {item.step} was committed before the run was interrupted and came out differently now; its "
                "first record is kept. Load policies with deterministic=True for runs that repeat exactly",
                TrainingWarning,
                stacklevel=2,
            )

    def _checkpoint(self, directory: RunDirectory, step: int, report: Report) -> None:
        """Write parameters and the state of the loop; answers up to here need no journal any more."""
        directory.checkpoint(
            step, lambda folder: checkpoint.save(folder, self.graph, self.text, self._session.usage, report.problems)
        )
        self._session.journal = directory.journal()
