import json

import pytest

from textgrad_rl_critics.sheet import Opinion, Sheet, opinion_of, typed_opinion
from textgrad_rl_graphs.errors import ParseError


def test_a_sheet_is_what_may_be_seen(make_case):
    case = make_case("41", answer="42", solution="six sevens")
    sheets = [Sheet.of(case, sees) for sees in ("nothing", "answer", "solution")]
    assert [(sheet.answer, sheet.solution) for sheet in sheets] == [(None, None), ("42", None), ("42", "six sevens")]
    assert len({sheet.id for sheet in sheets}) == 3
    assert Sheet.of(make_case("41", solution="other"), "answer") == sheets[1]
    line = sheets[1].record()
    assert json.loads(json.dumps(line)) == {
        "id": sheets[1].id, "question": "6 * 7?", "response": "41", "answer": "42",
        "score": None, "correct": None, "critique": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record", "opinion"),
    [
        ({}, None),
        ({"score": None, "correct": None, "critique": "no verdict yet"}, None),
        ({"correct": True}, Opinion(1.0, True)),
        ({"score": 0.5, "correct": False, "critique": "c"}, Opinion(0.5, False, "c")),
        ({"score": 1}, Opinion(1.0)),
    ],
)
def test_lines(record, opinion):
    assert opinion_of(record) == opinion


@pytest.mark.parametrize(
    "record", [{"score": 2}, {"score": "1"}, {"score": True}, {"correct": "yes"}, {"correct": True, "critique": None}]
)
def test_lines_that_cannot_be_meant(record):
    with pytest.raises(ParseError):
        opinion_of(record)


def test_what_is_typed():
    assert [typed_opinion(text) for text in ("Right", " w ", "0.25", "n")] == [
        Opinion(1.0, True), Opinion(0.0, False), Opinion(0.25), Opinion(0.0, False),
    ]  # fmt: skip
    for text in ("", "maybe", "7", "-1", "nan"):
        with pytest.raises(ParseError, match="neither right nor wrong"):
            typed_opinion(text)
