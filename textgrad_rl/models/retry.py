"""When a call to a server is made again: one policy for every HTTP backend.

Connection errors, time-outs and the statuses 408, 409, 429 and 5xx may pass; everything else fails at once. The waits
double from half a second to half a minute, with jitter; a server's ``Retry-After`` replaces them.
Left out: rate limits of our own, circuit breakers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from textgrad_rl_graphs.errors import ModelError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

LONGEST_WAIT_S = 60.0
"""A server that asks for a longer wait gets this one: the call then fails rather than hangs."""


class TransientError(Exception):
    """A failure that may pass.

    Args:
        message: what happened, with the server's words.
        retry_after_s: how long the server asks to wait, None when it does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the wait beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


def is_transient(status: int) -> bool:
    """Tell whether a request with this HTTP status may succeed later.

    >>> [status for status in (400, 401, 404, 408, 409, 429, 500, 503) if is_transient(status)]
    [408, 409, 429, 500, 503]
    """
    return status in (408, 409, 429) or status >= 500


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, None without one or when it holds a date.

    >>> retry_after_s({"retry-after": "2"})
    2.0
    """
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT_S) if seconds >= 0 else None


async def with_retries(call: Callable[[], Awaitable[T]], *, retries: int) -> T:
    """Return what the call returns, making it again while it raises TransientError.

    Args:
        call: makes one attempt.
        retries: how many more attempts than one.

    Raises:
        ModelError: retryable, with the words of the last attempt.
    """
    from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

    attempts = AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(retries + 1),
        wait=_wait_s,
        reraise=True,
    )

    async def attempt() -> T:  # tenacity awaits coroutine functions only, and the call may be a lambda
        return await call()

    try:
        return await attempts(attempt)
    except TransientError as error:
        raise ModelError(f"{error} (gave up after {retries + 1} attempts)", retryable=True) from error


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds to the next attempt."""
    from tenacity import wait_random_exponential

    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after_s if isinstance(error, TransientError) else None
    return wait_random_exponential(multiplier=0.5, max=30)(state) if asked is None else asked
