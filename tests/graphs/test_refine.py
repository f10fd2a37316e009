import asyncio
import random
from typing import Any

import pytest

from tests.support.scripted import ScriptedCritic, ScriptedModel, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.refine import Refine, Refinement, refine
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Request
from textgrad_rl_graphs.value import Value

WRONG = Feedback(score=0.0, correct=False, critique="Off by one.")
RIGHT = Feedback(score=1.0, correct=True, critique="Well done.")


def solver(request: Request) -> str:
    """Solve with a wrong answer that depends on the seed; refine to a better one."""
    return f"better {request.seed % 10_000}" if request.role == "refine" else f"draft of ({last(request)})"


def policy(**settings: Any) -> ScriptedModel:
    return ScriptedModel(settings.pop("script", solver), name="policy", trainable=True, **settings)


class Single(Graph):
    def __init__(self, model: ScriptedModel) -> None:
        self.solve = LLM(model, template="{question}")

    async def forward(self, question: Value) -> Value:
        return await self.solve(question=question)


def traces_of(graph: Graph, groups: int = 1, samples: int = 3) -> list[Trace]:
    return [graph.run({"question": f"q{n}"}, sample=sample) for n in range(groups) for sample in range(samples)]


def judged(traces: list[Trace], *verdicts: Feedback) -> Gradients:
    return backward(traces, list(verdicts) or [WRONG] * len(traces), model=ScriptedModel(lambda _: "{}"))


def right_if(text: str) -> ScriptedCritic:
    """A critic that holds outputs with a text for right."""
    return ScriptedCritic(lambda case: RIGHT if text in case.text else WRONG)


@pytest.mark.parametrize(
    ("trigger", "verdicts", "refined"),
    [
        ("zero_correct", [WRONG, WRONG, WRONG], [0, 1, 2]),
        ("zero_correct", [WRONG, RIGHT, WRONG], []),
        ("incorrect", [WRONG, RIGHT, WRONG], [0, 2]),
        ("all", [WRONG, RIGHT, WRONG], [0, 1, 2]),
        ("all", [WRONG, Feedback(score=1.0, correct=True), WRONG], [0, 2]),
        ("incorrect", [WRONG, Feedback(score=None, critique="?", fault="critic"), Feedback(score=0.0)], [0]),
        ("incorrect", [Feedback(score=0.4, critique="Hm."), RIGHT, RIGHT], [0]),
    ],
)
def test_the_trigger_selects_which_responses_are_refined(
    trigger: Any, verdicts: list[Feedback], refined: list[int]
) -> None:
    model = policy()
    traces = traces_of(Single(model))
    results = refine(traces, judged(traces, *verdicts), right_if("better"), plan=Refine(trigger=trigger, keep=3))
    assert [item.source.sample for item in results] == refined
    assert len(model.asked("refine")) == len(refined)
    assert all(item.kept and item.feedback == RIGHT for item in results)


def test_groups_are_triggered_and_kept_by_themselves() -> None:
    traces = traces_of(Single(policy()), groups=3)
    verdicts = [WRONG] * 3 + [WRONG, RIGHT, WRONG] + [WRONG] * 3
    results = refine(traces, judged(traces, *verdicts), right_if("better"), plan=Refine(keep=2))
    kept = [item.source.inputs["question"].text for item in results if item.kept]
    assert kept == ["q0", "q0", "q2", "q2"]
    assert len(results) == 6


def test_attempts_bound_the_refinements_of_a_group() -> None:
    traces = traces_of(Single(policy()), groups=2)
    results = refine(traces, judged(traces), right_if("better"), plan=Refine(attempts=2))
    assert [item.source.sample for item in results] == [0, 1, 0, 1]


def test_the_refiner_sees_question_response_and_critique_and_its_answer_is_put_in() -> None:
    model = policy()
    (trace,) = traces_of(Single(model), samples=1)
    (result,) = refine([trace], judged([trace]), right_if("better"))
    (request,) = model.asked("refine")
    assert last(request) == "Question: q0\nResponse: draft of (q0)\nCritique: Off by one."
    assert request.seed == trace.seed_for(result.call.key, "refine")
    assert result.completion is not None
    assert result.trace is not None
    assert result.trace.output is not None
    assert result.trace.output.text == result.completion.text == f"better {request.seed % 10_000}"
    assert result.trace.calls[result.call.key].refined
    assert not trace.calls[result.call.key].refined
    assert result.trace.id != trace.id
    assert (result.critique, result.failure) == ("Off by one.", None)


def test_the_critic_judges_the_rerun_with_scores_alone() -> None:
    critic = right_if("better")
    traces = traces_of(Single(policy()))
    results = refine(traces, judged(traces), critic)
    assert [critiques for _, critiques in critic.seen] == [False] * 3
    assert [case.trace for case, _ in critic.seen] == [item.trace for item in results]
    assert {case.group for case, _ in critic.seen} == {traces[0].group}


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_right_ones_are_kept_first(keep: int) -> None:
    traces = traces_of(Single(policy()), samples=4)
    gradients = judged(traces)
    everything = refine(traces, gradients, right_if("better"), plan=Refine(keep=4))
    lucky = everything[2].completion
    assert lucky is not None
    results = refine(traces, gradients, right_if(lucky.text), plan=Refine(keep=keep))
    assert results[2].kept
    assert sum(item.kept for item in results) == keep


def test_correct_or_first_falls_back_on_the_order() -> None:
    traces = traces_of(Single(policy()), groups=5, samples=4)
    results = refine(traces, judged(traces), right_if("none"), plan=Refine(select="correct_or_first", keep=2))
    assert [item.source.sample for item in results if item.kept] == [0, 1] * 5


def test_first_is_first_and_random_is_a_choice_that_repeats_itself() -> None:
    traces = traces_of(Single(policy()), groups=20)
    gradients = judged(traces)

    def kept(select: Any, order: list[Trace] = traces) -> list[str]:
        results = refine(order, gradients, right_if("none"), plan=Refine(select=select))
        return sorted(item.source.id for item in results if item.kept)

    assert kept("first") == sorted(trace.id for trace in traces if trace.sample == 0)
    assert kept("random") == kept("random")
    assert {key.rsplit("/", 1)[1] for key in kept("random")} == {"0", "1", "2"}
    shuffled = random.Random(0).sample(traces, len(traces))
    assert kept("random", shuffled) == kept("random")


def test_unscored_refinements_are_never_kept() -> None:
    traces = traces_of(Single(policy()))
    critic = ScriptedCritic(lambda case: Feedback(score=None, fault="critic"))
    assert not any(item.kept for item in refine(traces, judged(traces), critic, plan=Refine(keep=3)))


def test_another_model_may_refine() -> None:
    own, other = policy(), ScriptedModel(solver, name="teacher")
    traces = traces_of(Single(own))
    results = refine(traces, judged(traces), right_if("better"), plan=Refine(model=other))
    assert own.asked("refine") == []
    assert len(other.asked("refine")) == 3
    assert {item.completion.model for item in results if item.completion} == {"teacher"}


@pytest.mark.parametrize("answer", [ModelError("busy"), "", " \n"], ids=["fails", "empty", "blank"])
def test_a_refiner_that_gives_nothing_is_reported_and_the_rest_goes_on(answer: Any) -> None:
    model = policy()
    traces = traces_of(Single(model))
    unlucky = {traces[1].seed_for(next(iter(traces[1].calls)), "refine", attempt) for attempt in range(3)}
    model.script = lambda request: answer if request.seed in unlucky else solver(request)
    results = refine(traces, judged(traces), right_if("better"), plan=Refine(keep=3))
    assert [item.kept for item in results] == [True, False, True]
    failed = results[1]
    assert (failed.trace, failed.feedback) == (None, None)
    assert failed.failure is not None
    assert failed.failure.kind == "infrastructure"


def test_an_empty_refinement_is_asked_for_again_with_another_seed() -> None:
    model = policy(script=lambda request: "" if len(model.asked("refine")) == 1 else solver(request))
    (trace,) = traces_of(Single(model), samples=1)
    (result,) = refine([trace], judged([trace]), right_if("better"))
    assert result.kept
    assert len({request.seed for request in model.asked("refine")}) == 2


class Program(Graph):
    """Plan and hints feed the solver; a tool and a last word follow; ``beside`` reads only the question."""

    def __init__(self, model: ScriptedModel, effects: Any = "none") -> None:
        self.runs: list[str] = []
        self.before = Function(self._count("before"), effects=effects)
        self.plan = LLM(model, template="plan {question}")
        self.beside = LLM(model, template="beside {question}")
        self.solve = LLM(model, template="solve {plan}")
        self.tool = Function(self._count("tool"), effects=effects)
        self.word = LLM(model, template="word {result}")

    def _count(self, name: str) -> Any:
        def tool(text: str) -> str:
            self.runs.append(name)
            return f"{name} {text}"

        return tool

    async def forward(self, question: Value) -> Value:
        asked = await self.before(question)
        plan, beside = await asyncio.gather(self.plan(question=asked), self.beside(question=asked))
        result = await self.tool(await self.solve(plan=plan))
        return join(await self.word(result=result), beside)


def paths(model: ScriptedModel) -> list[str]:
    return sorted(last(request).split()[0] for request in model.asked("solve"))


def hinted(trace: Trace) -> Gradients:
    """Gradients for every call, so that any node can be refined."""
    model = ScriptedModel(lambda request: '{"input.plan": "Plan more.", "input.result": "Solve it well."}')
    return backward([trace], [WRONG], model=model)


@pytest.mark.parametrize("effects", ["none", "repeatable"])
def test_unchanged_calls_are_replayed_and_everything_downstream_runs_again(effects: str) -> None:
    model = policy()
    graph = Program(model, effects)
    trace = graph.run({"question": "q"})
    gradients = hinted(trace)
    model.log.clear()
    graph.runs.clear()
    (result,) = refine([trace], gradients, right_if(""), plan=Refine(node="solve"))
    assert result.trace is not None
    assert result.failure is None
    assert (paths(model), graph.runs) == (["word"], ["tool"])
    assert (result.trace.live, result.trace.replayed) == (2, 3)  # word, tool; before, plan, beside
    assert result.completion is not None
    word = next(call for call in result.trace.calls.values() if call.path == "word")
    assert word.messages[0].content == f"word tool {result.completion.text}"
    for path, changed in {"before": 0, "plan": 0, "beside": 0, "solve": 0, "tool": 1, "word": 1, "join": 1}.items():
        old, new = (next(c.key for c in t.calls.values() if c.path == path) for t in (trace, result.trace))
        assert (old != new) == bool(changed), path
    old_call, new_call = trace.calls[result.call.key], result.trace.calls[result.call.key]
    assert old_call.output is not None
    assert new_call.output is not None
    assert old_call.output.key != new_call.output.key
    assert {trace.calls[key].path for key in result.trace.diverged} == {"tool", "word", "join"}


def test_the_node_nearest_to_the_output_is_refined_unless_another_is_named() -> None:
    trace = Program(policy()).run({"question": "q"})
    for node, critique in (
        (None, "Off by one."),
        ("word", "Off by one."),
        ("solve", "Solve it well."),
        ("plan", "Plan"),
    ):
        (result,) = refine([trace], hinted(trace), right_if(""), plan=Refine(node=node))
        assert result.call.path == (node or "word")
        assert critique in result.critique


def test_refining_an_inner_node_runs_all_that_depends_on_it() -> None:
    model = policy()
    graph = Program(model)
    trace = graph.run({"question": "q"})
    gradients = hinted(trace)
    model.log.clear()
    refine([trace], gradients, right_if(""), plan=Refine(node="plan"))
    assert paths(model) == ["solve", "word"]


def test_a_node_that_is_not_there_is_an_error_and_one_without_a_gradient_is_left_alone() -> None:
    model = policy()
    trace = Program(model).run({"question": "q"})
    with pytest.raises(
        GraphError, match=r"node='solver'.*no such node; it has before, plan, beside, solve, tool, word"
    ):
        refine([trace], hinted(trace), right_if(""), plan=Refine(node="solver"))
    nothing = backward([trace], [WRONG], model=ScriptedModel(lambda _: "{}"), retries=0)
    assert refine([trace], nothing, right_if(""), plan=Refine(node="plan")) == []


def test_a_function_whose_effects_may_happen_once_is_not_repeated() -> None:
    model = policy()
    graph = Program(model, "once")
    trace = graph.run({"question": "q"})
    graph.runs.clear()
    critic = right_if("")
    (result,) = refine([trace], hinted(trace), critic, plan=Refine(node="solve"))
    assert graph.runs == []
    assert (result.trace, result.feedback, result.kept) == (None, None, False)
    assert result.failure is not None
    assert (result.failure.where, result.failure.kind) == ("tool", "infrastructure")
    assert "only once" in result.failure.reason
    assert critic.seen == []

    (result,) = refine([trace], hinted(trace), critic, plan=Refine(node="word"))  # the tool is upstream: replayed
    assert graph.runs == []
    assert result.kept


class Sometimes(Graph):
    """Checks its answer only while it is a draft, and asks again only if it is not."""

    def __init__(self, model: ScriptedModel) -> None:
        self.solve = LLM(model, template="solve {question}")
        self.check = LLM(model, template="check {answer}")
        self.extra = LLM(model, template="extra {question}")

    async def forward(self, question: Value) -> Value:
        answer = await self.solve(question=question)
        if answer.text.startswith("draft"):
            return join(answer, await self.check(answer=answer))
        return join(answer, await self.extra(question=question))


def test_a_rerun_that_takes_another_way_is_recorded() -> None:
    trace = Sometimes(policy()).run({"question": "q"})
    (result,) = refine([trace], hinted(trace), right_if("better"), plan=Refine(node="solve"))
    assert result.trace is not None
    assert {trace.calls[key].path for key in result.trace.diverged} == {"check", "join"}
    assert {call.path for call in result.trace.calls.values()} == {"solve", "extra", "join"}
    assert result.trace.live == 1


def test_a_rerun_that_never_reaches_the_refined_call_is_a_failure() -> None:
    prompt = Prompt("Solve.")
    model = policy()
    graph = Single(model)
    graph.solve.system = prompt
    (trace,) = traces_of(graph, samples=1)
    gradients = judged([trace])
    prompt.text = "Solve it."
    (result,) = refine([trace], gradients, right_if("draft"))
    assert result.trace is None
    assert not result.kept
    assert result.failure is not None
    assert "did not reach the refined call" in result.failure.reason


def test_attempts_that_cannot_be_read_are_told_with_what_they_cost() -> None:
    model = policy(script=lambda request: "draft" if request.role == "solve" else " ")
    (trace,) = traces_of(Single(model), samples=1)
    (result,) = refine([trace], judged([trace]), right_if("better"), retries=2)
    assert result.failure is not None
    assert "3 attempts" in result.failure.reason
    assert result.failure.usage.calls == 3


def test_a_versionless_run_is_refined_under_its_own_keys() -> None:
    graph = Single(policy())
    graph.solve.system = Prompt("Solve.")
    trace = graph.run({"question": "q"}, versionless=True)
    (result,) = refine([trace], judged([trace]), right_if("better"))
    assert result.kept


def test_a_refinement_that_breaks_a_tool_is_the_policys_fault_and_is_judged() -> None:
    class Strict(Graph):
        def __init__(self, model: ScriptedModel) -> None:
            self.solve = LLM(model, template="{question}")
            self.tool = Function(lambda text: {"draft of (q0)": "ran"}[text], effects="none")

        async def forward(self, question: Value) -> Value:
            return await self.tool(await self.solve(question=question))

    (trace,) = traces_of(Strict(policy()), samples=1)
    critic = ScriptedCritic(lambda case: Feedback(score=0.0, correct=False, fault="policy") if not case.text else RIGHT)
    (result,) = refine([trace], judged([trace]), critic)
    assert result.trace is not None
    assert result.trace.failure is not None
    assert result.feedback == Feedback(score=0.0, correct=False, fault="policy")


def test_a_run_that_failed_in_a_tool_is_refined_before_it() -> None:
    class Strict(Graph):
        def __init__(self, model: ScriptedModel) -> None:
            self.solve = LLM(model, template="{question}")
            self.tool = Function(lambda text: {"fine": "ran"}[text], effects="none")

        async def forward(self, question: Value) -> Value:
            return await self.tool(await self.solve(question=question))

    model = policy(script=lambda request: "fine" if request.role == "refine" else "broken")
    (trace,) = traces_of(Strict(model), samples=1)
    assert trace.failure is not None
    (result,) = refine([trace], judged([trace]), right_if("ran"))
    assert result.kept
    assert result.call.path == "solve"


def test_a_refinement_can_be_refined() -> None:
    graph = Program(policy())
    trace = graph.run({"question": "q"})
    (first,) = refine([trace], hinted(trace), right_if(""), plan=Refine(node="solve"))
    assert first.trace is not None
    (second,) = refine([first.trace], hinted(first.trace), right_if(""), plan=Refine(node="word"))
    assert second.trace is not None
    assert {call.path for call in second.trace.calls.values() if call.refined} == {"solve", "word"}
    assert second.trace.live == 0
    assert first.completion is not None
    solve = next(call for call in second.trace.calls.values() if call.path == "solve")
    assert solve.completion == first.completion


def test_refinements_run_at_the_same_time_and_do_not_depend_on_latencies() -> None:
    results: list[list[Refinement]] = []
    for delay in (0.0, 0.02):
        model = policy()
        traces = traces_of(Single(model), groups=3)
        gradients = judged(traces)
        model.latency, model.peak = (lambda request, delay=delay: delay * (request.seed % 3)), 0  # type: ignore[misc]
        results.append(refine(traces, gradients, right_if("better")))
        assert model.peak == 9
    one, other = ([(item.source.id, item.kept, item.completion) for item in result] for result in results)
    assert one == other


@pytest.mark.parametrize(
    "setting", [{"trigger": "never"}, {"select": "best"}, {"keep": 0}, {"attempts": 0}], ids=lambda item: str(item)
)
def test_plans_that_cannot_work(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        Refine(**setting)
