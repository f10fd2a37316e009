import pytest

import textgrad_rl as tgr
from textgrad_rl_critics import Overlong, Verifier
from textgrad_rl_critics.overlong import overlong_penalty
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case
from textgrad_rl_graphs.types import Completion, Usage


@pytest.mark.parametrize(("tokens", "penalty"), [(0, 0), (60, 0), (80, -0.5), (100, -1), (101, -1), (1000, -1)])
def test_the_penalty_grows_over_the_last_tokens(tokens, penalty):
    assert overlong_penalty(tokens, longest=100, cache=40) == penalty


def answered(tokens: int, reason: str = "stop", *, behind: bool = False) -> Case:
    """A case whose answer has so many tokens; behind a function if wanted."""
    completion = Completion(text="4", finish_reason=reason, usage=Usage(1, tokens, 1), output_ids=(7,) * tokens)

    class One(tgr.Graph):
        def __init__(self):
            self.solve = tgr.LLM(tgr.FunctionModel(lambda _: completion))
            self.tidy = tgr.Function(lambda value: f"{value}.", describe="tidies", effects="none")

        async def forward(self, question):
            answer = await self.solve(question=question)
            return await self.tidy(answer) if behind else answer

    return Case.of(One().run(tgr.Example({"question": "2 + 2?"}, answer="4")))


def test_added_to_a_verifier_it_shapes_the_score_and_leaves_the_verdict():
    critic = Verifier() + Overlong(longest=100, cache=40)
    feedback = critic.critique([answered(10), answered(70), answered(100), answered(70, behind=True)])
    assert [item.score for item in feedback] == [1.0, 0.75, 0.0, 0.75]
    assert all(item.correct for item in feedback)
    assert feedback[1].components["overlong.tokens"] == 70


def test_an_answer_that_was_cut_off_gets_the_lowest_score():
    critic = Verifier() + Overlong(longest=100, cache=40)
    (feedback,) = critic.critique([answered(100, "length")])
    assert (feedback.score, feedback.fault) == (-1.0, "policy")


def test_a_text_that_no_model_wrote_has_no_length():
    case = Case.of_text(tgr.Example({"question": "2 + 2?"}, answer="4"), "4")
    assert Overlong(longest=10, cache=5).critique([case])[0].score == 0


@pytest.mark.parametrize(("longest", "cache"), [(10, 0), (10, 11), (0, 0)])
def test_a_range_that_is_none_is_refused(longest, cache):
    with pytest.raises(ConfigError, match="0 < cache <= longest"):
        Overlong(longest=longest, cache=cache)
