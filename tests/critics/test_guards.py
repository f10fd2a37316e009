import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_critics.guards import Guards, copy_rate, length_ratio
from textgrad_rl_graphs.errors import ConfigError

SHARE = st.floats(0, 1)


@given(st.floats(0, 100), SHARE, SHARE)
def test_a_cap_is_a_share(ratio, copied, reference):
    assert 0 <= Guards().cap(length_ratio=ratio, copy_rate=copied, reference_copy_rate=reference) <= 1


@given(st.floats(1 / 3, 3), st.floats(0, 0.5))
def test_ordinary_texts_are_not_capped(ratio, copied):
    assert Guards().cap(length_ratio=ratio, copy_rate=copied) == pytest.approx(1.0)


@given(st.floats(0.01, 100), SHARE, SHARE)
def test_more_copying_never_pays(ratio, less, more):
    less, more = sorted((less, more))
    guards = Guards()
    assert guards.cap(length_ratio=ratio, copy_rate=more) <= guards.cap(length_ratio=ratio, copy_rate=less)


def test_by_hand():
    guards = Guards()
    assert guards.cap(length_ratio=1.0, copy_rate=1.0) == 0.0
    assert guards.cap(length_ratio=0.0, copy_rate=0.0) == 0.0
    assert guards.cap(length_ratio=6.0, copy_rate=0.0) == 0.5
    assert guards.cap(length_ratio=1 / 6, copy_rate=0.0) == pytest.approx(0.5)
    assert guards.cap(length_ratio=1.0, copy_rate=0.75) == 0.5
    assert guards.cap(length_ratio=1.0, copy_rate=0.75, reference_copy_rate=0.75) == 1.0  # as the reference does
    assert guards.cap(length_ratio=1.0, copy_rate=1.0, reference_copy_rate=1.0) == 1.0


def test_rates():
    assert length_ratio("a b c d", "a b") == 2.0
    assert length_ratio("a", "") == 1.0
    assert copy_rate("a b c x", "a b c d") == 0.5  # abc, not bcx
    assert copy_rate("B c", "a b c") == 1.0  # shorter than an n-gram
    assert copy_rate("", "a b c") == 0.0
    assert copy_rate("a b c", "") == 0.0


def test_settings():
    for settings in ({"length_factor": 0.5}, {"copied": 1.0}, {"ngram": 0}):
        with pytest.raises(ConfigError):
            Guards(**settings)
