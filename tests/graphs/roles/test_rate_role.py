import json

import pytest

from textgrad_rl_graphs.errors import ConfigError, ParseError
from textgrad_rl_graphs.roles import CritiqueRole, RateRole

TEXTS = {"question": "6 * 7?", "response": "41 {answer} %s", "answer": "42", "solution": "six sevens"}
RATING = RateRole("{question}\n{response}", (0, 10))
VERDICT = RateRole("Question: {question}\nResponse: {response}\nAnswer: {answer}")


def test_only_what_the_template_names_is_shown():
    system, user = RATING.render("json", TEXTS)
    assert user.content == "6 * 7?\n<response>\n41 {answer} %s\n</response>"
    assert RATING.render("plain", TEXTS)[-1].content == "6 * 7?\n41 {answer} %s"
    assert "42" not in system.content + user.content
    assert "0 (worst) to 10 (best)" in system.content


def test_for_a_verdict_it_asks_as_a_critic_does():
    for dialect in ("plain", "json"):
        asked = VERDICT.render(dialect, TEXTS)
        assert asked == CritiqueRole().render(dialect, question="6 * 7?", response="41 {answer} %s", answer="42")
        assert VERDICT.schema(dialect) is CritiqueRole().schema(dialect)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Good. Score: 7", 0.7),
        ("Score: 3\nNo, better: Score: **10**.", 1.0),
        ("score: 2.5/10", 0.25),
        ("Score: 0", 0.0),
    ],
)
def test_plain_ends_in_a_score(text, score):
    assert RATING.parse("plain", text).score == score


@pytest.mark.parametrize(
    "text",
    ["", "7", "Score: 11", "Score: -1", "Score: 7/100", "Score: 7 is what it wants", "score:" * 20_000, "Score: 1e99"],
    ids=lambda text: text[:20],
)
def test_plain_without_one(text):
    with pytest.raises(ParseError) as error:
        RATING.parse("plain", text)
    assert len(str(error.value)) < 1000


def test_json_rating():
    rating = RateRole("{response}", (1, 5)).parse("json", 'So: {"critique": " Vague. ", "score": 2}')
    assert (rating.critique, rating.score) == ("Vague.", 0.25)
    assert RATING.schema("json")["required"] == ["critique", "score"]
    assert RATING.schema("plain") is None


@pytest.mark.parametrize("score", [11, -1, "7", None, True, float("nan"), float("inf"), [7]])
def test_json_with_what_is_no_number_on_the_scale(score):
    with pytest.raises(ParseError):
        RATING.parse("json", json.dumps({"critique": "", "score": score}))


def test_verdicts_score_zero_or_one():
    assert VERDICT.parse("plain", "No. Verdict: wrong").score == 0.0
    assert VERDICT.parse("json", '{"critique": "Yes.", "verdict": "correct"}').score == 1.0


def test_settings():
    for template, scale in [("{question}", None), ("{response} {reply}", None), ("{response}", (1, 1))]:
        with pytest.raises(ConfigError):
            RateRole(template, scale)
