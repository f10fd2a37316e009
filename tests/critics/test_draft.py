from textgrad_rl_critics.draft import Draft
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.types import Usage


def test_a_draft_counts_and_never_loses_cost(make_case):
    draft = Draft(0, make_case("41"), Feedback(score=0.0, correct=False, usage=Usage(calls=1)))
    for attempt in range(3):
        assert draft.case.attempt == attempt
        draft.take(Feedback(score=1.0, correct=attempt < 2, critique=f"try {attempt}", usage=Usage(calls=1)))
        if draft.contradicts:
            draft.throw_away()
    feedback = draft.finish("judge")
    assert (feedback.critique, feedback.components["contradicted"], feedback.usage.calls) == ("try 2", 2.0, 4)
    assert feedback.components["replaced"] == 0.0


def test_unwritten_is_failed(make_case):
    feedback = Draft(0, make_case("41"), Feedback(score=0.0, correct=False)).finish("judge")
    assert feedback.components["critique_failed"] == 1.0
    assert feedback.critique == "This solution is wrong."
