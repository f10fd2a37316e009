import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles.json_answer import json_object, json_text, shorten

values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=4)
around = st.sampled_from(["", "Sure! ", "```json\n", "\n```", " {oops} ", r" \frac{1}{2} ", "\nDone.", ' {"cut": '])


@given(around, objects, st.sampled_from(["", "\n```", " Done.", " {", r" \boxed{4}"]), st.sampled_from([None, 2]))
def test_an_object_is_found_whatever_stands_around_it(before: str, item: Any, after: str, indent: int | None) -> None:
    assert json_object(before + json.dumps(item, indent=indent) + after) == item


@given(st.lists(objects, min_size=1, max_size=4))
def test_the_last_object_counts_but_never_a_part_of_one(items: list[Any]) -> None:
    assert json_object(" then ".join(map(json.dumps, items))) == items[-1]


def test_line_breaks_inside_texts_are_forgiven() -> None:
    assert json_object('{"critique": "one\ntwo\tthree"}') == {"critique": "one\ntwo\tthree"}


HOSTILE = ["", "{", "}", "{}" * 0, "{'a': 1}", "[1]", "{" * 100_000, '{"' * 50_000, '{"a":' * 20_000, '{"a":[' * 16_000]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:8])
def test_no_object_is_a_parse_error_and_costs_little(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ParseError, match="no JSON object"):
        json_object(text)
    assert time.process_time() - start < 2  # the event loop waits meanwhile


def test_a_field_has_to_be_text() -> None:
    assert json_text({"a": " b "}, "a") == "b"
    for answer in ({}, {"a": None}, {"a": 1}):
        with pytest.raises(ParseError, match="field 'a'"):
            json_text(answer, "a")


@given(st.text(max_size=600))
def test_shortened_text_is_short_and_keeps_both_ends(text: str) -> None:
    short = shorten(text, 100)
    assert len(short) <= 105
    assert short[:50] == text[:50]
    assert short[-50:] == text[-50:]
