from textgrad_rl_critics.refusals import settled
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Usage

GOOD, REFUSED, DOWN = (
    Feedback(score=1.0),
    Failure("judge", "too long", "policy", Usage(1, 0, 1)),
    Failure("judge", "down"),
)


def test_a_response_refused_beside_others_is_at_fault(make_case):
    cases = [make_case("a"), make_case("b"), make_case("c"), make_case("d", question="other")]
    found = settled(cases, [GOOD, REFUSED, DOWN, REFUSED], -1.0)
    assert (found[0], found[2], found[3]) == (GOOD, DOWN, REFUSED)
    assert (found[1].score, found[1].fault, found[1].usage) == (-1.0, "policy", Usage(1, 0, 1))
    assert "too long" in found[1].critique


def test_another_fault_of_the_policy_is_no_sign_that_the_judge_can_read(make_case):
    empty = Feedback(score=0.0, fault="policy")
    assert settled([make_case("a"), make_case("b")], [empty, REFUSED], 0.0) == [empty, REFUSED]
