from dataclasses import replace

import pytest

import textgrad_rl as tgr
from tests.support.scripted import ScriptedCritic, ScriptedModel
from textgrad_rl.methods.advantages import advantages
from textgrad_rl.methods.estimators import group_advantages
from textgrad_rl_graphs.errors import ConfigError, DataError, GraphError, ModelError, UnknownNameError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.refine import Refine

RIGHT, WRONG = Feedback(score=1.0, correct=True), Feedback(score=0.0, correct=False, critique="It is off by one.")


class One(tgr.Graph):
    def __init__(self, model):
        self.solve = tgr.LLM(model, system="S", template="{question}")

    async def forward(self, question):
        return await self.solve(question=question)


class Loop(tgr.Graph):
    """Three calls of one node for "long", one for all else."""

    def __init__(self, model):
        self.solve = tgr.LLM(model, system="S", template="{text}")

    async def forward(self, question):
        value = await self.solve(text=question)
        for _ in range(2 if question.text == "long" else 0):
            value = await self.solve(text=value)
        return value


class Two(tgr.Graph):
    def __init__(self, planner, solver):
        self.plan = tgr.LLM(planner, template="{question}")
        self.solve = tgr.LLM(solver, template="{plan}")

    async def forward(self, question):
        return await self.solve(plan=await self.plan(question=question))


def policy(script=None, **options):
    return ScriptedModel(script or (lambda request: f"try {request.seed % 7}"), trainable=True, **options)


def runs(graph, questions=("q",), samples=2, step=1):
    examples = [tgr.Example({"question": question}, id=question) for question in questions]
    return [graph.run(example, sample=sample, step=step) for example in examples for sample in range(samples)]


def refined(traces, feedback, critic, **plan):
    gradients = tgr.backward(traces, feedback, parameters={"solve.model"})
    return tgr.refine(traces, gradients, critic, plan=Refine(**plan))


def ids(text):
    return tuple(map(ord, text))


def test_every_group_has_its_own_baseline_and_rows_keep_the_tokens_as_sampled():
    traces = runs(One(policy()), ("a", "b"))
    rows = advantages(traces, [RIGHT, WRONG, WRONG, WRONG])["solve.model"]
    assert [row.advantage for row in rows] == [0.5, -0.5, 0.0, 0.0]
    assert [row.reward for row in rows] == [1.0, 0.0, 0.0, 0.0]
    assert [row.group for row in rows] == ["1/a/solve", "1/a/solve", "1/b/solve", "1/b/solve"]
    assert rows[0].context is rows[1].context  # a group shares its prompt
    assert rows[0].context.tokens() == ids("Sa")
    for row, trace in zip(rows, traces, strict=True):
        assert row.output_ids == ids(trace.output.text)
        assert row.logprobs == (-0.5,) * len(row.output_ids)
        assert (row.kind, row.weight) == ("sample", 1.0)


def test_unscored_samples_leave_the_mean_and_are_not_trained():
    traces = runs(One(policy()), samples=3)
    rows = advantages(traces, [RIGHT, Feedback(score=None, fault="critic"), WRONG])["solve.model"]
    assert [row.advantage for row in rows] == [0.5, -0.5]
    assert {row.source.split("/")[2] for row in rows} == {"0", "2"}


def test_the_scale_reaches_the_rows():
    rows = advantages(runs(One(policy())), [RIGHT, WRONG], scale="std")["solve.model"]
    assert [row.advantage for row in rows] == pytest.approx(group_advantages([1, 0], "std"))


def test_the_calls_of_a_loop_share_one_sample_s_weight():
    graph = Loop(policy())
    traces = runs(graph, ("long", "short"), samples=1)
    rows = advantages(traces, [RIGHT, WRONG])["solve.model"]
    assert sorted(row.weight for row in rows) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert {row.reward for row in rows if row.weight < 1} == {1.0}


def test_two_policies_get_rows_of_their_own_and_a_frozen_model_none():
    traces = runs(Two(policy(name="p"), policy(lambda _: "s", name="s")))
    rows = advantages(traces, [RIGHT, WRONG])
    assert {path: [row.advantage for row in rows[path]] for path in rows} == {
        "plan.model": [0.5, -0.5],
        "solve.model": [0.5, -0.5],
    }
    assert {row.output_ids for row in rows["solve.model"]} == {ids("s")}
    assert all(row.weight == 1.0 for row in rows["plan.model"])
    frozen = runs(Two(ScriptedModel(lambda _: "plan"), policy()))
    assert list(advantages(frozen, [RIGHT, WRONG])) == ["solve.model"]


def refiner(request):
    if request.role == "refine":
        return "refined answer"
    return f"try {request.seed % 7}"


# Not one character of the critique occurs anywhere else, so that a single leaked token shows.
LEAK = "ŒØÆŁĐŦŊ"


def test_a_refinement_trains_under_the_node_s_own_prompt_without_the_critique():
    model = policy(refiner)
    traces = runs(One(model), ("q",), samples=3)
    feedback = [Feedback(score=0.0, correct=False, critique=LEAK)] * 3
    attempts = refined(traces, feedback, ScriptedCritic(lambda _: RIGHT))
    assert any(LEAK in message.content for request in model.asked("refine") for message in request.messages)
    rows = advantages(traces, feedback, attempts)["solve.model"]
    assert [row.advantage for row in rows] == [-0.25] * 3 + [0.75]
    row = rows[-1]
    assert row.kind == "refinement"
    assert row.context is rows[0].context
    assert row.context.tokens() == ids("Sq")
    assert row.output_ids == ids("refined answer")
    assert row.group == rows[0].group
    assert not set(ids(LEAK)) & set(row.context.tokens() + row.output_ids)


def test_only_kept_refinements_enter():
    traces = runs(One(policy(refiner)), samples=3)
    attempts = refined(traces, [WRONG] * 3, ScriptedCritic(lambda _: RIGHT), keep=2)
    assert [item.kept for item in attempts].count(True) == 2
    rows = advantages(traces, [WRONG] * 3, attempts)["solve.model"]
    assert [row.advantage for row in rows] == pytest.approx([-0.4] * 3 + [0.6] * 2)


def test_refinements_are_appended_or_replace_the_first_samples():
    traces = runs(One(policy(refiner)), samples=4)
    attempts = refined(traces, [WRONG] * 4, ScriptedCritic(lambda _: RIGHT))
    appended = advantages(traces, [WRONG] * 4, attempts)["solve.model"]
    replaced = advantages(traces, [WRONG] * 4, attempts, replace=True)["solve.model"]
    assert [row.kind for row in appended] == ["sample"] * 4 + ["refinement"]
    assert [row.kind for row in replaced] == ["sample"] * 3 + ["refinement"]
    assert [row.advantage for row in replaced] == [-0.25] * 3 + [0.75]
    assert [row.source for row in replaced[:3]] == [row.source for row in appended[1:4]]


def test_a_refinement_in_a_group_of_another_example_does_not_count():
    traces = runs(One(policy(refiner)), ("a", "b"))
    feedback = [WRONG, WRONG, RIGHT, WRONG]
    attempts = refined(traces, feedback, ScriptedCritic(lambda _: RIGHT))
    assert {item.source.example_id for item in attempts} == {"a"}
    rows = advantages(traces, feedback, attempts)["solve.model"]
    by_group = {group: [row.advantage for row in rows if row.group == group] for group in ("1/a/solve", "1/b/solve")}
    assert by_group["1/b/solve"] == [0.5, -0.5]
    assert by_group["1/a/solve"] == pytest.approx([-1 / 3, -1 / 3, 2 / 3])


def test_a_refinement_of_a_frozen_node_counts_for_the_baseline_but_has_no_row():
    frozen = ScriptedModel(lambda request: "better plan" if request.role == "refine" else "plan")
    planner = tgr.Prompt("Plan.")
    graph = Two(frozen, policy(lambda _: "s"))
    graph.plan.system = planner
    traces = runs(graph)
    backward_model = ScriptedModel(lambda _: '{"system": "Plan more.", "input.plan": "Better."}')
    gradients = tgr.backward(traces, [WRONG] * 2, model=backward_model)
    attempts = tgr.refine(traces, gradients, ScriptedCritic(lambda _: RIGHT), plan=Refine(node="plan"))
    assert [item.kept for item in attempts].count(True) == 1
    rows = advantages(traces, [WRONG] * 2, attempts)
    assert list(rows) == ["solve.model"]
    assert [row.advantage for row in rows["solve.model"]] == pytest.approx([-1 / 3, -1 / 3])


def test_an_answer_without_token_ids_cannot_be_trained_on():
    texts_only = tgr.FunctionModel(lambda _: "refined by another")
    traces = runs(One(policy()))
    gradients = tgr.backward(traces, [WRONG] * 2)
    attempts = tgr.refine(traces, gradients, ScriptedCritic(lambda _: RIGHT), plan=Refine(model=texts_only))
    with pytest.raises(
        ModelError, match=r"solve: the answer came without token ids.*leave Refine\(model=\.\.\.\) unset"
    ):
        advantages(traces, [WRONG] * 2, attempts)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_an_error(score):
    with pytest.raises(DataError, match=r"the critic scored 1/q/0 with (nan|inf|-inf); scores have to be finite"):
        advantages(runs(One(policy())), [Feedback(score=score), RIGHT])


def test_a_refinement_whose_score_is_not_finite_is_unscored_and_an_error_if_it_gets_here():
    traces = runs(One(policy(refiner)))
    attempts = refined(traces, [WRONG] * 2, ScriptedCritic(lambda _: Feedback(score=float("nan"))))
    assert [(item.feedback.score, item.feedback.fault) for item in attempts] == [(None, "critic")] * 2
    assert not any(item.kept for item in attempts)
    attempts = [replace(item, feedback=Feedback(score=float("nan")), kept=True) for item in attempts]
    with pytest.raises(DataError, match="finite"):
        advantages(traces, [WRONG] * 2, attempts)


def test_traces_and_feedback_have_to_pair_up_and_the_credit_has_to_be_known():
    traces = runs(One(policy()))
    with pytest.raises(GraphError, match="2 traces and 1 pieces of feedback"):
        advantages(traces, [RIGHT])
    with pytest.raises(ConfigError, match="unknown credit 'blame'"):
        advantages(traces, [RIGHT, WRONG], credit="blame")


def test_a_failed_run_of_the_policy_still_trains_what_it_said():
    def explode(text):
        raise ValueError(f"no number in {text}")

    class Checked(tgr.Graph):
        def __init__(self, model):
            self.solve = tgr.LLM(model, template="{question}")
            self.check = tgr.Function(explode, effects="none")

        async def forward(self, question):
            return await self.check(await self.solve(question=question))

    traces = runs(Checked(policy()))
    rows = advantages(traces, [Feedback(score=0.0, correct=False, fault="policy"), RIGHT])["solve.model"]
    assert [row.advantage for row in rows] == [-0.5, 0.5]


def test_the_standard_deviation_of_the_batch_is_over_all_groups():
    rows = advantages(runs(One(policy()), ("a", "b")), [RIGHT, WRONG, WRONG, WRONG], scale="batch_std")["solve.model"]
    assert [row.advantage for row in rows] == pytest.approx([0.5 / 0.5001, -0.5 / 0.5001, 0.0, 0.0])


def test_the_baseline_of_the_samples_leaves_refinements_out_of_the_mean():
    traces = runs(One(policy(refiner)), samples=4)
    feedback = [RIGHT, WRONG, WRONG, WRONG]
    attempts = refined(traces, feedback, ScriptedCritic(lambda _: RIGHT), trigger="incorrect")
    rows = advantages(traces, feedback, attempts, baseline="samples")["solve.model"]
    assert [row.advantage for row in rows] == [0.75, -0.25, -0.25, -0.25, 0.75]


@pytest.mark.parametrize(
    ("imitate", "kinds"),
    [("samples", ["sample"]), ("refinements", ["refinement"]), ("both", ["sample", "refinement"])],
)
def test_imitation_makes_rows_of_right_responses_alone(imitate, kinds):
    traces = runs(One(policy(refiner)), samples=3)
    feedback = [WRONG, RIGHT, WRONG]
    attempts = refined(traces, feedback, ScriptedCritic(lambda _: RIGHT), trigger="incorrect")
    rows = advantages(traces, feedback, attempts, imitate=imitate)["solve.model"]
    assert [row.kind for row in rows] == kinds
    assert {row.advantage for row in rows} == {1.0}
    assert all(row.reward == 1.0 for row in rows)
    failed = refined(traces, feedback, ScriptedCritic(lambda _: WRONG), trigger="incorrect")
    left = advantages(traces, feedback, failed, imitate=imitate).get("solve.model", [])
    assert [row.kind for row in left] == [kind for kind in kinds if kind == "sample"]


def test_imitation_needs_a_critic_with_verdicts():
    with pytest.raises(ConfigError, match="says of none whether it is right"):
        advantages(runs(One(policy())), [Feedback(score=1.0)] * 2, imitate="samples")


# ---- credit of nodes that have a critic


def verdict_of(case):
    """Planner and solver say "right" or "wrong" of themselves."""
    return RIGHT if case.text.endswith("right") else WRONG


class Judged(tgr.Graph):
    """The plan is judged by itself, the output by whether both are right."""

    def __init__(self, planner, solver, critic=None):
        self.plan = tgr.LLM(planner, template="{question}", critic=critic or ScriptedCritic(verdict_of))
        self.solve = tgr.LLM(solver, template="{plan}")

    async def forward(self, question):
        return await self.solve(plan=await self.plan(question=question))


def coin(request):
    """Right or wrong at even odds, whatever was read."""
    return ("right", "wrong")[request.seed % 2]


def judged_runs(samples, questions=("q",), **options):
    traces = runs(Judged(policy(coin, name="p"), policy(coin, name="s"), **options), questions, samples)
    both = [all(call.text == "right" for call in trace.ordered()) for trace in traces]
    return traces, [RIGHT if item else WRONG for item in both]


def by_text(rows):
    """Advantages of right and of wrong responses."""
    text = {ids("right"): True, ids("wrong"): False}
    return [[row.advantage for row in rows if text[row.output_ids] is side] for side in (True, False)]


def test_local_credit_is_exact_where_shared_credit_is_noisy():
    traces, feedback = judged_runs(64)
    shared = advantages(traces, feedback)
    local = advantages(traces, feedback, credit="local", nodes=tgr.judge_nodes(traces))
    kept = [[(row.source, row.advantage) for row in rows["solve.model"]] for rows in (local, shared)]
    assert kept[0] == kept[1]  # it has no critic of its own
    right, wrong = by_text(local["plan.model"])
    share = len(right) / 64
    assert set(right) == {1 - share}
    assert set(wrong) == {-share}
    noisy, unlucky = by_text(shared["plan.model"])
    assert min(noisy) < 0 < max(noisy)  # a right plan is blamed for its solver
    assert set(unlucky) == {min(noisy)}
    # On average over the solver's luck both tell the same: E[A | right] - E[A | wrong] is P(solver right) of 1.
    solved = sum(value > 0 for value in noisy) / len(noisy)
    assert sum(noisy) / len(noisy) - unlucky[0] == pytest.approx(solved * (right[0] - wrong[0]))


def test_local_groups_hold_one_example_and_the_same_call_of_a_loop():
    class Steps(Loop):
        def __init__(self, model):
            self.solve = tgr.LLM(model, template="{text}", critic=ScriptedCritic(verdict_of))

    script = {0: "right", 1: "wrong"}
    traces = runs(Steps(policy(lambda request: f"{request.seed} {script[request.seed % 2]}")), ("long",), samples=6)
    rows = advantages(traces, [WRONG] * 6, credit="local", nodes=tgr.judge_nodes(traces))["solve.model"]
    assert [row.weight for row in rows] == pytest.approx([1 / 3] * 18)
    turns = [[row for trace in traces for row in rows if row.source == f"{trace.id}/{trace.ordered()[n].key}"]
             for n in range(3)]  # fmt: skip
    for turn in turns:
        assert len(turn) == 6
        assert [row.advantage for row in turn] == pytest.approx(group_advantages([row.reward for row in turn]))


def test_an_unscored_call_leaves_its_group_and_an_unscored_run_keeps_its_judged_calls():
    unscored = Feedback(score=None, fault="critic")
    traces, feedback = judged_runs(4)
    nodes = tgr.judge_nodes(traces)
    first = (traces[0].id, traces[0].ordered()[0].key)
    rows = advantages(traces, [unscored, *feedback[1:]], credit="local", nodes=nodes)
    assert (len(rows["plan.model"]), len(rows["solve.model"])) == (4, 3)
    rows = advantages(traces, feedback, credit="local", nodes={**nodes, first: unscored})
    assert (len(rows["plan.model"]), len(rows["solve.model"])) == (3, 4)


def test_a_refined_answer_is_credited_by_the_critic_of_its_node():
    def planner(request):
        return "refined right" if request.role == "refine" else "wrong"

    traces = runs(Judged(policy(planner, name="p"), policy(lambda _: "s", name="s")), samples=3)
    nodes = tgr.judge_nodes(traces)
    gradients = tgr.backward(traces, [WRONG] * 3, nodes=nodes)
    attempts = tgr.refine(traces, gradients, ScriptedCritic(lambda _: WRONG), plan=Refine(node="plan"))
    (kept,) = [item for item in attempts if item.kept]
    with pytest.raises(GraphError, match="plan has a critic, but nodes= holds no feedback on its call in the run"):
        advantages(traces, [WRONG] * 3, attempts, credit="local", nodes=nodes)
    nodes |= tgr.judge_nodes([kept.trace])
    rows = advantages(traces, [WRONG] * 3, attempts, credit="local", nodes=nodes)
    assert [(row.kind, row.advantage) for row in rows["plan.model"]] == [("sample", -0.25)] * 3 + [("refinement", 0.75)]
    assert [row.advantage for row in rows["solve.model"]] == [0.0] * 3  # the refined plan is no row of the solver


def test_imitation_goes_by_the_verdict_of_the_node_s_critic():
    traces, feedback = judged_runs(8)
    rows = advantages(traces, feedback, credit="local", nodes=tgr.judge_nodes(traces), imitate="samples")
    right = [trace for trace in traces if trace.ordered()[0].text == "right"]
    assert len(rows["plan.model"]) == len(right)
    assert {row.output_ids for row in rows["plan.model"]} == {ids("right")}


def test_an_unknown_credit_lists_those_there_are():
    traces, feedback = judged_runs(1)
    with pytest.raises(UnknownNameError, match=r"unknown credit 'locl'\. Did you mean 'local'"):
        advantages(traces, feedback, credit="locl")
