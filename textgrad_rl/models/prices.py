"""What a call costs, for servers whose prices no list knows.

Left out: prices by the hour, by the image or by the time of day.
"""

from __future__ import annotations

from typing import NamedTuple

from textgrad_rl_graphs.errors import ConfigError


class Price(NamedTuple):
    """Dollars per million tokens: read, generated, and read from the server's cache (as read when None).

    >>> Price(2.0, 8.0, 0.5).usd(prompt_tokens=1_000_000, generated_tokens=500_000, cached_tokens=400_000)
    5.4
    """

    prompt: float
    generated: float
    cached: float | None = None

    def usd(self, prompt_tokens: int, generated_tokens: int, cached_tokens: int = 0) -> float:
        """Return the dollars of a call; the cached tokens are among those of the prompt."""
        cached = self.prompt if self.cached is None else self.cached
        fresh_tokens = prompt_tokens - cached_tokens
        return (fresh_tokens * self.prompt + cached_tokens * cached + generated_tokens * self.generated) / 1e6


def read_price(price: tuple[float, ...] | None) -> Price | None:
    """Return the Price that a setting gives.

    Raises:
        ConfigError: for anything but two or three numbers that are not negative.
    """
    if price is None:
        return None
    if len(price) not in (2, 3) or not all(usd >= 0 for usd in price):
        raise ConfigError(
            "price is (dollars per million prompt tokens, per million generated tokens) and, if another, per million "
            f"cached prompt tokens; got {price!r}"
        )
    return Price(*price)
