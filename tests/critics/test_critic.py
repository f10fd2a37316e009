"""What all critics share: the plain name, arithmetic, order."""

import pytest

from textgrad_rl_critics import Verifier, WeightedSum
from textgrad_rl_critics.critic import most
from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.feedback import Critic as AnyCritic
from textgrad_rl_graphs.feedback import Feedback


def test_is_a_critic_of_the_contract():
    assert isinstance(Verifier(), AnyCritic)


async def test_plain_name_works_inside_a_running_loop(double):
    from textgrad_rl_graphs.feedback import Case
    from textgrad_rl_graphs.graph import Graph
    from textgrad_rl_graphs.trace import Trace
    from textgrad_rl_graphs.types import Example
    from textgrad_rl_graphs.value import Value

    trace = Trace(Graph(), "x")
    case = Case(Example({"q": "?"}, "1"), trace, Value("1", key="v", name="output", trace=trace))
    assert Verifier().critique([case])[0].correct is True
    assert (await Verifier().acritique([case]))[0].correct is True


def test_order_is_kept(make_case):
    cases = [make_case(text) for text in ("42", "", "41", "42", "", "42")]
    feedback = Verifier().critique(cases)
    assert [item.score for item in feedback] == [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    assert [item.fault for item in feedback] == [None, "policy", None, None, "policy", None]


def test_no_cases():
    assert Verifier().critique([]) == []


def test_arithmetic_builds_one_flat_sum(script):
    one, two, foreign = Verifier(name="one"), Verifier(name="two"), script(lambda case: Feedback(score=1.0))
    critic = 2 * (0.5 * one + two * 0.25) + foreign
    assert isinstance(critic, WeightedSum)
    assert critic.parts == ((1.0, one), (0.5, two), (1.0, foreign))
    assert critic.name == "1*one + 0.5*two + 1*script"


@pytest.mark.parametrize("other", [1, "a", None])
def test_adding_what_is_no_critic(other):
    with pytest.raises(TypeError):
        Verifier() + other
    with pytest.raises(TypeError):
        Verifier() * Verifier()


def test_references_are_asked_for_before_anything_is_paid(make_case, double, script):
    judge = script(lambda case: Feedback(score=1.0))
    with pytest.raises(DataError, match="Example"):
        (judge_sum := Verifier() + Verifier(name="other")).critique([make_case("42", answer=None)])
    with pytest.raises(DataError):
        WeightedSum([(1.0, judge), *judge_sum.parts]).critique([make_case("42", answer=None)])
    assert judge.asked == []


def test_a_foreign_critic_that_loses_a_case_is_an_error(make_case):
    class Short:
        name = "short"

        async def acritique(self, cases, *, critiques=True):
            return []

    with pytest.raises(ConfigError, match="short gave 0 feedbacks on 1 cases"):
        (Verifier() + Short()).critique([make_case("42")])


def test_most():
    assert most([]) == "nothing"
