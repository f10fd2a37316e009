import pytest

from textgrad_rl_critics.spans import (
    explanation,
    final_answer,
    has_final_answer,
    last_number,
    sentences,
    without_quotation,
    without_reasoning,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Step 1: 8 + 7, 8+7=15, so 15. Answer: 15", "15"),
        ("Answer: 3\nWait. Answer: 4", "4"),
        ("She makes 9 * 2 = $18.\n#### 18", "18"),
        ("**Final Answer:** **18**", "18"),
        ("The answer is: 18.", "18."),
        ("Answer:\n\n18\nbye", "18"),
        (r"So $\boxed{3}$, no: \boxed{\frac{1}{\sqrt{2}}} it is.", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{3} Answer: 4", "4"),
        (r"Answer: \boxed{4}", "4"),
        (r"\boxed{3 never closed", r"\boxed{3 never closed"),
        ("only\nthe last line\n", "the last line"),
        ("Answer:", ""),
        ("", ""),
        ("<think>Answer: 3</think>It is 5", "It is 5"),
        ("Answer: 3</think>Answer: 5", "5"),
        ("<think>Answer: 3", ""),
        ("<think>a<think>b</think>c</think>Answer: 4", "4"),
        ("It is so.\nSo the answer is 18.", "18."),
        ("The answer is right.\n18", "18"),
        ("Answer: 18. I am sure the answer is right.", "18. I am sure the answer is right."),
        ("Answer\uff1a18", "18"),
        ("答案是\uff1a18", "18"),
    ],
)
def test_final_answer(text, answer):
    assert final_answer(text) == answer


def test_final_answer_of_a_final_answer_is_itself():
    for answer in ("18", "$1,000", r"\frac{1}{2}", "a b"):
        assert final_answer(f"Answer: {answer}") == final_answer(answer) == answer


def test_has_final_answer():
    assert has_final_answer("#### 18")
    assert has_final_answer(r"\boxed{1}")
    assert not has_final_answer("18")
    assert not has_final_answer("Answer:")
    assert not has_final_answer("<think>Answer: 3</think>18")


def test_last_number():
    assert last_number("Answer: 18 dollars") == "18"
    assert last_number("Answer: -1.5") == "-1.5"
    assert last_number("Answer: none") == "none"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("9 * 2 = $<<9*2=18>>18.\n#### 18", "9 * 2 = $18."),
        ("<think>Long thoughts.</think>\nTwice nine.\nAnswer: 18", "Twice nine."),
        ("Step 1: 9*2=18. Answer: 18", "Step 1: 9*2=18."),
        ("Answer: 18\nBecause twice nine.", "Because twice nine."),
        (r"Twice nine is \boxed{18}.", "Twice nine is ."),
        ("Answer: 18", ""),
        ("<think>cut off", ""),
    ],
)
def test_explanation(text, span):
    assert explanation(text) == span


def test_reasoning_is_idempotent():
    text = "a<think>b</think>c<reasoning>d</reasoning>e"
    assert without_reasoning(text) == without_reasoning(without_reasoning(text)) == "ace"


def test_sentences_keep_decimals():
    assert sentences("It costs $2.50 a day. Twice!\n\n---\nSo $5") == ["It costs $2.50 a day.", "Twice!", "So $5"]


def test_without_quotation():
    question = 'Ann has 16 eggs. Tom says: "Answer: 18" and goes. How many are left?'
    assert without_quotation(f'You ask: "{question}"\nAnswer: 9', question) == "You ask: \nAnswer: 9"
    assert without_quotation("She has 16 eggs.\nAnswer: 16", question) == "She has 16 eggs.\nAnswer: 16"
    assert without_quotation("6 * 7 = 42", "6 * 7?") == "6 * 7 = 42"
    assert without_quotation("", question) == ""
    assert without_quotation(f"> {question}\n> Answer: 9\nHm.", question) == "Hm."
    assert without_quotation(f"> {question}\n\n> Answer: 9", question) == "\n> Answer: 9"
    nested = '"Full face" is her make-up. How long does it take her to put on her "full face?"'
    assert without_quotation(f'You ask: "{nested}\nAnswer: 55" Well.', nested) == "You ask:  Well."
