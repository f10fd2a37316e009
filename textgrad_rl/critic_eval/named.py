"""Critics by name, each by itself: for training, a verifier stands beside them; here it would answer for them."""

from __future__ import annotations

from collections.abc import Mapping

from textgrad_rl_critics import SentenceEncoder
from textgrad_rl_critics.encoder import MINILM
from textgrad_rl_critics.registry import FACTORIES, alone
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Critic
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Sees


def critics_named(
    names: str,
    *,
    own: Mapping[str, Mapping[str, Critic]] | None = None,
    model: Model | None = None,
    encoder: str = MINILM,
    sees: Sees | None = None,
) -> dict[str, Critic]:
    """Return the critics of a list, by name.

    ``chain-of-thought`` gives its own verdict, ``semantic`` its composite with exact match as the correctness part,
    ``semantic-similarity`` the guarded cosine and no verdict.

    Args:
        names: comma-separated; those of ``textgrad_rl.critics.by_name``.
        own: what a name of your own stands for: one critic or several.
        model: the judge of those that need one.
        encoder: of the semantic ones.
        sees: as in ``by_name``.

    Raises:
        UnknownNameError: with the names there are.
        ConfigError: when a critic needs a model and there is none, or reads nothing that a name could give along; when
            the list is empty.

    >>> [critic.name for critic in critics_named("verifier, semantic-similarity").values()]
    ['exact_match', 'semantic_similarity']
    """
    encoding = SentenceEncoder(encoder)  # one for all, so that it is loaded once
    chosen: dict[str, Critic] = {}
    for name in filter(None, map(str.strip, names.split(","))):
        if own is not None and name in own:
            chosen |= own[name]
        else:
            chosen[name] = alone(name, model=model, encoder=encoding, sees=sees)
    if not chosen:
        raise ConfigError(f"--critic {names!r} names no critic; known: {', '.join(sorted(FACTORIES))}, FILE.py")
    return chosen
