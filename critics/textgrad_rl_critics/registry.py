"""Critics by name, for the command line: each set up so that the yardstick is the verifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from textgrad_rl_critics.cascade import Cascade
from textgrad_rl_critics.chain_of_thought import ChainOfThought
from textgrad_rl_critics.combine import Combine, On
from textgrad_rl_critics.encoder import MINILM, Encoder
from textgrad_rl_critics.expressions import math_verify
from textgrad_rl_critics.generative_reward import GenerativeReward
from textgrad_rl_critics.human import Human
from textgrad_rl_critics.indicative import Indicative
from textgrad_rl_critics.majority import Majority
from textgrad_rl_critics.rank import Rank
from textgrad_rl_critics.replay import Replay
from textgrad_rl_critics.reward_model import RewardModel
from textgrad_rl_critics.semantic import Semantic
from textgrad_rl_critics.similarity import Quote, SemanticSimilarity
from textgrad_rl_critics.verifier import Verifier
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.feedback import Critic as AnyCritic
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Sees

_ASKED = "Question: {question}\nResponse: {response}"
_SHOWN = MappingProxyType({"nothing": "", "answer": "\nAnswer: {answer}", "solution": "\nSolution: {solution}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What factories build from."""

    verifier: AnyCritic
    model: Model | None
    encoder: str | Encoder
    reward_model: str | tuple[Any, Any] | None
    path: str | Path | None
    sees: Sees | None
    on: On
    per_group: int | None

    @property
    def quote(self) -> Quote:
        """What the words of a semantic critic quote."""
        return "response" if self.sees == "nothing" else "reference"

    def judge(self, name: str) -> Model:
        """Return the model of a critic that asks one."""
        if self.model is None:
            raise ConfigError(f"the critic {name!r} needs a model: model=..., --model on the command line")
        return self.model


def by_name(
    name: str,
    *,
    verifier: AnyCritic | None = None,
    model: Model | None = None,
    encoder: str | Encoder = MINILM,
    reward_model: str | tuple[Any, Any] | None = None,
    path: str | Path | None = None,
    sees: Sees | None = None,
    on: On = "incorrect",
    per_group: int | None = None,
) -> AnyCritic:
    """Return a critic by name; the verdict is the verifier's, except for ``math-verify`` and ``replay``.

    =======================  ===========================================  ==============================================
    name                     score                                        text
    =======================  ===========================================  ==============================================
    ``verifier``             the verifier's                               none
    ``math-verify``          that of ``math_verify()``, for mathematics   none
    ``indicative``           the verifier's                               right or wrong; ``sees="answer"``: and the answer
    ``chain-of-thought``     the verifier's                               the model's
    ``majority``             the verifier's                               of 3 by the model, one of the most frequent verdict
    ``cascade``              the verifier's                               the model's: one, of 4 more where it says right
    ``human``                the verifier's                               a person's, at the terminal or through ``path``
    ``semantic``             similarity, correctness, format              reference sentences missing or contradicted
    ``semantic-similarity``  similarity alone, whatever is answered       reference sentences missing or contradicted
    ``generative-reward``    share of 4 verdicts of the model             the model's
    ``rank``                 the model's, over the group                  the model's
    ``reward-model``         the reward model's                           right or wrong
    ``replay``               recorded at ``path``                         recorded at ``path``
    =======================  ===========================================  ==============================================

    Args:
        name: one of the above; ``"replay:runs/solver"`` and ``"human:reviews"`` give the path along,
            ``"reward-model:hf:owner/name"`` or ``"reward-model:./folder"`` the model.
        verifier: exact match of the final answer when None.
        model: the judge of those that ask one.
        encoder: of ``semantic`` and ``semantic-similarity``.
        reward_model: of ``reward-model``: its name, or model and tokenizer.
        path: a run directory for ``replay``; a folder for ``human``, None for the terminal.
        sees: what of the reference may be shown; None leaves it to the critic (``"nothing"`` for indicative and rank,
            ``"answer"`` for the other judges; the semantic ones quote the solution unless it is ``"nothing"``).
        on: which cases get a text, as in :class:`~textgrad_rl_critics.combine.Combine`.
        per_group: at most how many of a group get one.

    Raises:
        UnknownNameError: for another name; lists the names.
        ConfigError: when the critic needs something that is not given, or reads nothing that a name could give along.

    >>> by_name("indicative").name
    'indicative'
    """  # fmt: skip  # noqa: E501  # the table
    name, source = split_name(name)
    parts = _Parts(
        verifier=verifier or Verifier(), model=model, encoder=encoder, reward_model=source or reward_model,
        path=source or path, sees=sees, on=on, per_group=per_group,
    )  # fmt: skip
    return FACTORIES[name](parts)


def split_name(name: str) -> tuple[str, str]:
    """Return the name of a critic, and what it reads; empty without a colon.

    Raises:
        UnknownNameError: for a name that is none.
        ConfigError: for something to read given to a critic that reads nothing.

    >>> split_name("reward-model:hf:owner/name"), split_name("verifier")
    (('reward-model', 'hf:owner/name'), ('verifier', ''))
    """
    kind, colon, source = name.partition(":")
    if kind not in FACTORIES:
        raise UnknownNameError("critic", kind, FACTORIES)
    if colon and not (source and kind in _READERS):
        forms = ", ".join(f"{reader}:{what}" for reader, what in _READERS.items())
        raise ConfigError(f"there is no critic {name!r}: after a colon stands what a critic reads, as in {forms}")
    return kind, source


def alone(name: str, **options: Any) -> AnyCritic:
    """Return a critic by name with its own score and verdict, as :func:`by_name` without the verifier beside it.

    >>> alone("semantic").name
    'semantic'
    """
    critic = by_name(name, **options)
    if not isinstance(critic, Combine):
        return critic
    return critic.writer if critic.scorer is critic.yardstick else critic.scorer


def _verifier(parts: _Parts) -> AnyCritic:
    return parts.verifier


def _math_verify(parts: _Parts) -> AnyCritic:
    return Verifier(math_verify())


def _indicative(parts: _Parts) -> AnyCritic:
    if parts.sees == "solution":
        raise ConfigError("the critic 'indicative' shows 'nothing' or 'answer', not 'solution'")
    text = Indicative(parts.verifier, reveal="answer" if parts.sees == "answer" else None)
    return _combined("indicative", text, parts, score=parts.verifier)


def _chain_of_thought(parts: _Parts) -> AnyCritic:
    text = ChainOfThought(parts.judge("chain-of-thought"), sees=parts.sees or "answer")
    return _combined("chain_of_thought", text, parts, score=parts.verifier)


def _majority(parts: _Parts) -> AnyCritic:
    judge = ChainOfThought(parts.judge("majority"), sees=parts.sees or "answer")
    return _combined("majority", Majority(judge, votes=3), parts, score=parts.verifier)


def _cascade(parts: _Parts) -> AnyCritic:
    first = ChainOfThought(parts.judge("cascade"), sees=parts.sees or "answer")
    more = _generative("cascade", parts, samples=4)
    return _combined("cascade", Cascade([first, more], unsure=(0.5, 1.0)), parts, score=parts.verifier)


def _human(parts: _Parts) -> AnyCritic:
    return _combined("human", Human(parts.path, sees=parts.sees or "answer"), parts, score=parts.verifier)


def _semantic(parts: _Parts) -> AnyCritic:
    critic = Semantic(parts.encoder, verifier=parts.verifier, quote=parts.quote)
    return _combined("semantic", critic, parts, score=critic)


def _semantic_similarity(parts: _Parts) -> AnyCritic:
    critic = SemanticSimilarity(parts.encoder, quote=parts.quote)
    return _combined("semantic_similarity", critic, parts, score=critic)


def _generative_reward(parts: _Parts) -> AnyCritic:
    critic = _generative("generative-reward", parts, samples=4)
    return _combined("generative_reward", critic, parts, score=critic)


def _rank(parts: _Parts) -> AnyCritic:
    critic = Rank(parts.judge("rank"), sees=parts.sees or "nothing")
    return _combined("rank", critic, parts, score=critic)


def _reward_model(parts: _Parts) -> AnyCritic:
    if parts.reward_model is None:
        raise ConfigError("the critic 'reward-model' needs a model: 'reward-model:hf:owner/name' or reward_model=...")
    critic = RewardModel(parts.reward_model)
    return _combined("reward_model", Indicative(parts.verifier), parts, score=critic)


def _replay(parts: _Parts) -> AnyCritic:
    if parts.path is None:
        raise ConfigError("the critic 'replay' needs the run whose feedback it gives again: 'replay:runs/solver'")
    return Replay(parts.path)


def _generative(name: str, parts: _Parts, *, samples: int) -> GenerativeReward:
    return GenerativeReward(parts.judge(name), template=_ASKED + _SHOWN[parts.sees or "answer"], samples=samples)


def _combined(name: str, text: AnyCritic, parts: _Parts, *, score: AnyCritic) -> AnyCritic:
    """Let the verifier be the yardstick, and ask for text where it is wanted."""
    correct = score if isinstance(score, Semantic) else parts.verifier  # its verdict is the verifier's already
    return Combine(score, correct, text, on=parts.on, per_group=parts.per_group, name=name)


FACTORIES: Mapping[str, Callable[[_Parts], AnyCritic]] = MappingProxyType(
    {
        "verifier": _verifier,
        "math-verify": _math_verify,
        "indicative": _indicative,
        "semantic": _semantic,
        "semantic-similarity": _semantic_similarity,
        "chain-of-thought": _chain_of_thought,
        "majority": _majority,
        "cascade": _cascade,
        "generative-reward": _generative_reward,
        "reward-model": _reward_model,
        "rank": _rank,
        "human": _human,
        "replay": _replay,
    }
)
_READERS = MappingProxyType({"human": "reviews", "replay": "runs/solver", "reward-model": "hf:owner/name"})
"""Critics that read something, with an example of it."""
