"""Critics by name, for the command line: each set up so that reward and yardstick come from the verifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from textgrad_rl_critics.chain_of_thought import ChainOfThought
from textgrad_rl_critics.combine import Combine, On
from textgrad_rl_critics.encoder import Encoder
from textgrad_rl_critics.indicative import Indicative
from textgrad_rl_critics.semantic import Semantic
from textgrad_rl_critics.verifier import Verifier
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.feedback import Critic as AnyCritic
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Sees


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What factories build from."""

    verifier: AnyCritic
    model: Model | None
    encoder: str | Encoder
    sees: Sees | None
    on: On
    per_group: int | None


def by_name(
    name: str,
    *,
    verifier: AnyCritic | None = None,
    model: Model | None = None,
    encoder: str | Encoder = "hf:sentence-transformers/all-MiniLM-L6-v2",
    sees: Sees | None = None,
    on: On = "incorrect",
    per_group: int | None = None,
) -> AnyCritic:
    """Return a critic by name.

    =====================  ==================================================  ============================
    name                   score and verdict                                   text
    =====================  ==================================================  ============================
    ``verifier``           the verifier's                                      none
    ``indicative``         the verifier's                                      right or wrong (``sees="answer"``: and the answer)
    ``chain-of-thought``   the verifier's                                      the model's
    ``semantic``           similarity, correctness, format; verdict: verifier  the reference sentences that are missing
    =====================  ==================================================  ============================

    Args:
        name: one of the above.
        verifier: exact match of the final answer when None.
        model: the judge; ``chain-of-thought`` needs one.
        encoder: of ``semantic``.
        sees: what of the reference may be shown; None leaves it to the critic (``"nothing"`` for indicative,
            ``"answer"`` for chain-of-thought). The others do not ask.
        on: which cases get a text, as in :class:`~textgrad_rl_critics.combine.Combine`.
        per_group: at most how many of a group get one.

    Raises:
        UnknownNameError: for another name; lists the names.
        ConfigError: when the critic needs something that is not given.

    >>> by_name("indicative").name
    'indicative'
    """  # fmt: skip  # noqa: E501  # the table
    if name not in FACTORIES:
        raise UnknownNameError("critic", name, FACTORIES)
    parts = _Parts(verifier=verifier or Verifier(), model=model, encoder=encoder, sees=sees, on=on, per_group=per_group)
    return FACTORIES[name](parts)


def _verifier(parts: _Parts) -> AnyCritic:
    return parts.verifier


def _indicative(parts: _Parts) -> AnyCritic:
    if parts.sees == "solution":
        raise ConfigError("the critic 'indicative' shows 'nothing' or 'answer', not 'solution'")
    text = Indicative(parts.verifier, reveal="answer" if parts.sees == "answer" else None)
    return _combined("indicative", text, parts, score=parts.verifier)


def _chain_of_thought(parts: _Parts) -> AnyCritic:
    if parts.model is None:
        raise ConfigError("the critic 'chain-of-thought' needs a model: by_name('chain-of-thought', model=...)")
    text = ChainOfThought(parts.model, sees=parts.sees or "answer")
    return _combined("chain_of_thought", text, parts, score=parts.verifier)


def _semantic(parts: _Parts) -> AnyCritic:
    critic = Semantic(parts.encoder, verifier=parts.verifier)
    return _combined("semantic", critic, parts, score=critic)


def _combined(name: str, text: AnyCritic, parts: _Parts, *, score: AnyCritic) -> AnyCritic:
    """Let the verifier, or what contains it, decide, and ask for text where it is wanted."""
    return Combine(score, score, text, on=parts.on, per_group=parts.per_group, name=name)


FACTORIES: Mapping[str, Callable[[_Parts], AnyCritic]] = MappingProxyType(
    {"chain-of-thought": _chain_of_thought, "indicative": _indicative, "semantic": _semantic, "verifier": _verifier}
)
