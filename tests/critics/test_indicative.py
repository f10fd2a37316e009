import pytest

from textgrad_rl_critics import Indicative, Verifier
from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.feedback import Feedback


def test_the_exact_texts(make_case):
    cases = [make_case("42"), make_case("41")]
    plain, revealing = Indicative(Verifier()).critique(cases), Indicative(Verifier(), reveal="answer").critique(cases)
    assert [f.critique for f in plain] == ["This solution is correct.", "This solution is wrong."]
    assert [f.sees for f in plain] == ["nothing", "nothing"]
    assert revealing[1].critique == "This solution is wrong. The answer is 42."
    assert [f.sees for f in revealing] == ["nothing", "answer"]
    assert [f.score for f in revealing] == [1.0, 0.0]


def test_scores_alone(make_case):
    feedback = Indicative(Verifier(), reveal="answer").critique([make_case("41")], critiques=False)[0]
    assert (feedback.score, feedback.critique, feedback.sees) == (0.0, "", "nothing")


def test_without_a_verdict_there_is_nothing_to_say(make_case, script):
    critic = Indicative(script(lambda case: Feedback(score=0.3)))
    assert critic.critique([make_case("41")])[0] == Feedback(score=0.3)


def test_errors(make_case, script):
    with pytest.raises(ConfigError):
        Indicative(Verifier(), reveal="solution")
    verifier = script(lambda case: Feedback(score=1.0, correct=True))
    with pytest.raises(DataError):
        Indicative(verifier, reveal="answer").critique([make_case("42", answer=None)])
    assert verifier.asked == []
