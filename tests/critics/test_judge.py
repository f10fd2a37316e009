import pytest

from tests.support.scripted import ScriptedModel
from textgrad_rl_critics.judge import Unanswered, ask_judge, settled
from textgrad_rl_graphs.errors import ModelError, ParseError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Message, Sampling, Usage

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


def number(text):
    try:
        return int(text)
    except ValueError as error:
        raise ParseError(f"no number in {text!r}") from error


async def ask(*answers):
    left = iter(answers)
    model = ScriptedModel(lambda request: next(left))
    messages, seeds = (Message("user", "How many?"),), []
    said = await ask_judge(
        model, messages, number, seed_for=lambda attempt: seeds.append(attempt) or attempt, sampling=Sampling(),
        retries=1, schema=None,
    )  # fmt: skip
    return said, seeds


async def test_an_answer_that_can_be_read():
    said, seeds = await ask("hm", "7")
    assert (said.result, said.usage.calls, seeds) == (7, 2, [0, 1])


@pytest.mark.parametrize(
    ("answers", "unreadable", "refused", "kind"),
    [
        (["hm", "hm"], True, False, "infrastructure"),
        (["hm", ModelError("400: too long")], False, True, "policy"),
        (["hm", ModelError("503", retryable=True)], False, False, "infrastructure"),
    ],
)
async def test_no_answer_says_why_and_what_was_paid(answers, unreadable, refused, kind):
    said, _ = await ask(*answers)
    assert isinstance(said, Unanswered)
    assert (said.unreadable, said.refused) == (unreadable, refused)
    assert said.usage.calls == answers.count("hm")
    failure = said.failure("judge")
    assert (failure.where, failure.kind, failure.reason, failure.usage) == ("judge", kind, str(said.error), said.usage)
    assert said.failure("judge", usage=Usage(), reason="why") == Failure("judge", "why", kind)
