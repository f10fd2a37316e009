from itertools import combinations
from math import sqrt

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedCritic, ScriptedModel
from textgrad_rl.trainer.evaluation import Evaluation, aevaluate, gain, mean_interval, pass_at_k, value_of, wilson
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.feedback import Feedback


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # statsmodels.stats.proportion.proportion_confint(right, n, method="wilson")
        (8, 10, 0.490162, 0.943318),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
        (50, 100, 0.403832, 0.596168),
    ],
)
def test_wilson_s_interval(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=2e-6)


def test_wilson_s_limits_solve_its_equation():
    for right, n in ((3, 7), (40, 256)):
        for limit in wilson(right, n):
            assert abs(right / n - limit) == pytest.approx(1.959964 * sqrt(limit * (1 - limit) / n), abs=1e-6)


@pytest.mark.parametrize("n", [1, 4, 6])
def test_pass_at_k_counts_all_subsets(n):
    for right in range(n + 1):
        samples = [1] * right + [0] * (n - right)
        for k in range(1, n + 1):
            subsets = list(combinations(samples, k))
            assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_the_interval_of_a_mean():
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 1.959964 / sqrt(3), 2 + 1.959964 / sqrt(3)))
    assert mean_interval([0.5]) == (0.5, 0.5)


class Echo(tgr.Graph):
    """Answers with the question and the number of the sample."""

    def __init__(self):
        self.node = tgr.LLM(ScriptedModel(lambda request: request.messages[-1].content))

    async def forward(self, question):
        return await self.node(question=question)


def examples(count):
    return [tgr.Example({"question": f"q{number}"}, id=f"q{number}") for number in range(count)]


async def evaluated(judge, count=4, samples=1):
    return await aevaluate(Echo(), examples(count), ScriptedCritic(judge), samples=samples)


async def test_verdicts_count_before_scores_and_one_sample_each_gets_wilson_s_interval():
    found = await evaluated(lambda case: Feedback(score=0.3, correct=case.text != "q0"))
    assert (found.mean, found.n, found.unscored) == (0.75, 4, 0)
    assert (found.low, found.high) == wilson(3, 4)
    assert dict(found.values) == {"q0": 0.0, "q1": 1.0, "q2": 1.0, "q3": 1.0}
    assert dict(found.pass_at) == {1: 0.75}
    assert found.usage.calls == 4
    assert str(found) == f"75.0% [{found.low:.1%}, {found.high:.1%}] (n = 4)"


async def test_graded_scores_get_the_normal_interval_and_no_pass_at_k():
    scores = [0.1, 0.4, 0.4, 0.9]
    found = await evaluated(lambda case: Feedback(score=scores[int(case.text[1])]))
    assert found.mean == pytest.approx(0.45)
    assert (found.low, found.high) == pytest.approx(mean_interval(scores))
    assert dict(found.pass_at) == {}


async def test_several_samples_are_one_example_and_give_pass_at_powers_of_two():
    found = await evaluated(lambda case: Feedback(score=1.0, correct=case.trace.sample == 0), samples=5)
    assert (found.n, found.mean) == (4, pytest.approx(0.2))
    assert dict(found.pass_at) == pytest.approx({1: 0.2, 2: 0.4, 4: 0.8})
    assert (found.low, found.high) == pytest.approx((0.2, 0.2))  # every example is alike


async def test_unscored_samples_are_left_out_and_examples_without_any_are_counted():
    def judge(case):
        lost = case.text == "q0" or (case.text == "q1" and case.trace.sample == 0)
        return Feedback(score=None, fault="critic") if lost else Feedback(score=1.0, correct=True)

    found = await evaluated(judge, samples=2)
    assert (found.mean, found.n, found.unscored) == (1.0, 3, 1)
    assert sorted(found.values) == ["q1", "q2", "q3"]
    assert sorted(found.pass_at) == [1]  # one example has one sample only


async def test_nothing_to_evaluate_and_nothing_scored_are_errors():
    with pytest.raises(DataError, match="there are no examples"):
        await evaluated(lambda case: Feedback(score=1.0), count=0)
    with pytest.raises(DataError, match="not one of 4 runs could be scored: the judge is down"):
        await evaluated(lambda case: Feedback(score=None, critique="the judge is down"))


async def test_the_metric_is_asked_for_no_critiques():
    critic = ScriptedCritic(lambda case: Feedback(score=1.0))
    await aevaluate(Echo(), examples(3), critic)
    assert [critiques for _, critiques in critic.seen] == [False] * 3


def test_the_value_of_a_feedback():
    assert value_of(Feedback(score=0.3, correct=True)) == 1.0
    assert value_of(Feedback(score=0.3, correct=False)) == 0.0
    assert value_of(Feedback(score=0.3)) == 0.3
    assert value_of(Feedback(score=None, correct=True)) is None


def evaluation(**values):
    return Evaluation(0.0, 0.0, 0.0, len(values), values=values)


def test_a_gain_is_paired_by_example():
    before, after = evaluation(a=0.0, b=0.5, c=1.0, only=1.0), evaluation(c=1.0, b=0.75, a=0.5)
    mean, low, high = gain(before, after)
    assert mean == 0.25
    assert (low, high) == pytest.approx(mean_interval([0.5, 0.25, 0.0]))
    assert gain(before, before) == (0.0, 0.0, 0.0)
    with pytest.raises(DataError, match="share no example"):
        gain(before, evaluation(z=1.0))


async def test_seeds_are_common_to_two_versions_of_a_prompt():
    model = ScriptedModel(toy.answer)
    graph = toy.Adder(model)
    await aevaluate(graph, toy.sums().test, tgr.critics.Verifier())
    graph.solve.system.text = "Solve. Carry. Check."
    found = await aevaluate(graph, toy.sums().test, tgr.critics.Verifier())
    seeds = [request.seed for request in model.log]
    assert seeds[:12] == seeds[12:]
    assert found.mean == 1.0
