import pytest

from textgrad_rl.models.retry import LONGEST_WAIT_S, TransientError, retry_after_s, with_retries
from textgrad_rl_graphs.errors import ModelError


def call_that_fails(*errors: Exception):  # type: ignore[no-untyped-def]
    left = list(errors)

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "fine"

    return call


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_it_tries_as_often_as_allowed(count: int) -> None:
    errors = [TransientError("busy", retry_after_s=0.0) for _ in range(count)]
    assert await with_retries(call_that_fails(*errors), retries=count) == "fine"
    if count:
        with pytest.raises(ModelError, match=f"busy .gave up after {count} attempts") as caught:
            await with_retries(call_that_fails(*errors), retries=count - 1)
        assert caught.value.retryable


async def test_other_errors_pass_through_at_once() -> None:
    with pytest.raises(ModelError, match="refused"):
        await with_retries(call_that_fails(ModelError("refused")), retries=5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("1.5", 1.5), ("1e9", LONGEST_WAIT_S), ("-1", None), ("", None), ("Fri, 1", None)],
)
def test_the_header_is_seconds_within_reason(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}) == seconds
    assert retry_after_s({}) is None
