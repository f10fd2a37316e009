import pytest

from textgrad_rl_critics import ChainOfThought, Combine, Indicative, Semantic, Verifier, by_name
from textgrad_rl_critics.registry import FACTORIES
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.feedback import Critic


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_reward_and_yardstick_come_from_the_verifier(make_case, double, letters, name):
    model = double(lambda request: "Carry the ten. Verdict: wrong")
    critic = by_name(name, model=model, verifier=Verifier(), encoder=letters)
    assert isinstance(critic, Critic)
    right, wrong = critic.critique([make_case("So 6 * 7. Answer: 42"), make_case("So 6 * 7. Answer: 41")])
    assert (right.correct, wrong.correct) == (True, False)
    assert right.score > wrong.score
    assert bool(wrong.critique) == (name != "verifier")
    assert right.critique == ""


def test_what_is_built(double, letters):
    model = double(str)
    critic = by_name("chain-of-thought", model=model, sees="nothing", on="zero_correct", per_group=2)
    assert isinstance(critic, Combine)
    assert (critic.on, critic.per_group) == ("zero_correct", 2)
    assert isinstance(critic.writer, ChainOfThought)
    assert critic.writer.sees == "nothing"
    assert by_name("chain-of-thought", model=model).writer.sees == "answer"
    assert by_name("indicative").writer.reveal is None
    revealing = by_name("indicative", sees="answer").writer
    assert isinstance(revealing, Indicative)
    assert revealing.reveal == "answer"
    assert isinstance(by_name("semantic", encoder=letters).writer, Semantic)
    verifier = Verifier()
    assert by_name("verifier", verifier=verifier) is verifier


def test_errors():
    with pytest.raises(UnknownNameError, match=r"'chain-of-thought'.*indicative, semantic, verifier"):
        by_name("chain-of-though")
    with pytest.raises(ConfigError, match="needs a model"):
        by_name("chain-of-thought")
    with pytest.raises(ConfigError):
        by_name("indicative", sees="solution")
