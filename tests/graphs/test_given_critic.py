"""What stands where a critic belongs is looked at where it is given."""

import functools
import re

import pytest

from tests.support.scripted import ScriptedCritic, ScriptedModel
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.given_critic import as_critic
from textgrad_rl_graphs.node import LLM

SCORE = Feedback(score=1.0)


class Own:
    name = "own"

    async def acritique(self, cases, *, critiques=True):
        return [SCORE] * len(cases)


class Plain:
    name = "plain"

    def acritique(self, cases, *, critiques=True):
        return [SCORE] * len(cases)


class Nameless:
    acritique = Own.acritique


def logged(function):
    """Wrap as a decorator of a user's does: plain on the outside."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Decorated(Own):
    acritique = logged(Own.acritique)


class Wrapping:
    def __init__(self, critic):
        self.name = critic.name
        self.acritique = functools.partial(critic.acritique)


@pytest.mark.parametrize("critic", [Own(), Decorated(), Wrapping(Own()), ScriptedCritic(lambda case: SCORE)])
def test_whatever_has_the_members_is_one(critic):
    assert as_critic(critic, "here") is critic


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("semantic", "textgrad_rl.critics.by_name('semantic')"),
        (lambda text, example: True, "textgrad_rl.critics.Verifier(function)"),
        (Own, "an instance of one: Own(...)"),
        (Plain(), "async def acritique"),
        (Nameless(), "no name"),
        (None, "no async acritique"),
        ([Own()], "no async acritique"),
    ],
)
def test_for_anything_else_it_says_what_to_do(given, advice):
    with pytest.raises(ConfigError, match=f"Trainer.*needs a critic, got.*{re.escape(advice)}"):
        as_critic(given, "Trainer(critic=...)")


@pytest.mark.parametrize("given", ["semantic", Own, Plain()])
def test_nodes_look_too(given):
    with pytest.raises(ConfigError, match=r"LLM\(critic=\.\.\.\) needs a critic"):
        LLM(ScriptedModel(lambda request: "x"), critic=given)
