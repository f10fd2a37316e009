import time

import pytest

from textgrad_rl_critics import Verifier, format_rule
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case
from textgrad_rl_graphs.types import Example

EXAMPLE = Example({"question": "6 * 7?"})


@pytest.mark.parametrize(
    ("pattern", "full", "text", "right"),
    [
        (r"^Answer: -?\d+$", False, "6 * 7 = 42\nAnswer: 42\n", True),
        (r"^Answer: -?\d+$", False, "The Answer: 42", False),
        (r"<think>.*</think>\s*\S+", True, "<think>Hm.</think> 42", True),
        (r"<think>.*</think>\s*\S+", True, "Well. <think>Hm.</think> 42", False),
        (r"(?s)<think>.*</think>\s*\S+", True, "<think>\n\n</think>\n42\n", True),
        (r"答案\W\p{Nd}+", False, "答案 ٤٢", True),
    ],
)
def test_search_and_full_match(pattern, full, text, right):
    assert format_rule(pattern, full=full)(text, EXAMPLE) is right


def test_a_pattern_without_end_is_cut_off_alone():
    bad, fine = "x" * 100_000, "xxy"
    began = time.process_time()
    cases = [Case.of_text(EXAMPLE, text, sample=index) for index, text in enumerate([fine, bad, fine])]
    feedback = Verifier(format_rule(r"(x+x+)+y", seconds=0.2)).critique(cases)
    assert time.process_time() - began < 2
    assert [item.score for item in feedback] == [1.0, 0.0, 1.0]
    assert feedback[1].fault == "policy"
    assert "100000 characters in 0.2 s" in feedback[1].critique


def test_no_regular_expression():
    with pytest.raises(ConfigError, match=r"'\(' is no regular expression"):
        format_rule("(")
