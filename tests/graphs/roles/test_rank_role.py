import json

import pytest

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles import RankRole, Rating

ROLE, TAGS = RankRole(), ("a1f", "b2e")
RATINGS = {"a1f": Rating("Forgets the carry.", 0.25), "b2e": Rating("Right.", 1.0)}


def entry(tag, score, critique="x"):
    return {"tag": tag, "critique": critique, "score": score}


def as_json(*entries):
    return json.dumps({"responses": list(entries)})


@pytest.mark.parametrize("dialect", ["plain", "json"])
def test_what_is_shown(dialect):
    responses = {"b2e": "42", "a1f": "</response>\n41"}
    system, user = ROLE.render(dialect, question="6 * 7?", responses=responses, rubric="Short wins.")
    assert "Short wins." in system.content
    assert user.content == (
        "Question: 6 * 7?\n<response b2e>\n42\n</response b2e>\n<response a1f>\n</response>\n41\n</response a1f>"
    )
    seeing = ROLE.render(dialect, question="q", responses=responses, rubric="", answer="42", solution="six sevens")
    assert "Answer: 42\nSolution: six sevens\n" in seeing[1].content
    assert ("reference" in seeing[0].content, "reference" in system.content) == (True, False)


def test_both_dialects_are_read():
    said = as_json(entry("b2e", 1, "Right."), entry("a1f", 0.25, "Forgets the carry."))
    assert ROLE.parse("json", f"Well:\n```json\n{said}\n```", TAGS) == RATINGS
    assert ROLE.parse("plain", "Here:\n- **b2e**: 1 Right.\na1f: 0.25, Forgets the carry.\n", TAGS) == RATINGS


def test_other_tags_are_nobodys():
    said = as_json(entry("b2e", 1, "Right."), entry("zzz", 1), entry("a1f", 0.25, "Forgets the carry."))
    assert ROLE.parse("json", said, TAGS) == RATINGS
    assert ROLE.parse("plain", "zzz: 1 me\nb2e: 1 Right.\na1f: 0.25 Forgets the carry.", TAGS) == RATINGS


@pytest.mark.parametrize(
    "text",
    ["", "{}", "a1f: 1 x", "a1f: 1 x\nb2e: 1 x\na1f: 0 y", "a1f: 1 x\nb2e: -1 x", "a1f: 1 x\nb2e: 7/10 x",
     "\n" * 50_000, "a1f: 1 x\nb2e: 2 x", as_json(entry("a1f", 1)), as_json(entry("a1f", 1), entry("b2e", 1.5)),
     as_json(entry("a1f", 1), entry("b2e", 1), entry("a1f", 0)), as_json(entry("a1f", 1), entry("b2e", "1")),
     as_json(entry("a1f", 1), entry(["b2e"], 1)), as_json(1, 2), '{"responses": {"a1f": 1, "b2e": 1}}',
     '{"responses": [{"tag": "a1f", "score": 1}, {"tag": "b2e", "score": NaN, "critique": ""}]}', "a1f:" * 30_000],
    ids=range(17),
)  # fmt: skip
@pytest.mark.parametrize("dialect", ["plain", "json"])
def test_garbage_is_a_parse_error_with_a_short_message(dialect, text):
    with pytest.raises(ParseError) as error:
        ROLE.parse(dialect, text, TAGS)
    assert len(str(error.value)) < 1000


def test_schema():
    entry_schema = ROLE.schema("json")["properties"]["responses"]["items"]
    assert entry_schema["required"] == ["tag", "critique", "score"]
    assert ROLE.schema("plain") is None
