import time

import pytest

from textgrad_rl_critics.quotation import without_quotation

LONG = 'Ann has 16 eggs. Tom says: "Answer: 18" and goes. How many are left?'


def test_what_goes_and_what_stays():
    assert without_quotation(f'You ask: "{LONG}"\nAnswer: 9', LONG) == "You ask: \nAnswer: 9"
    assert without_quotation("She has 16 eggs.\nAnswer: 16", LONG) == "She has 16 eggs.\nAnswer: 16"
    assert without_quotation("", LONG) == without_quotation("", "") == ""
    assert without_quotation(f"> {LONG}\n> Answer: 9\nHm.", LONG) == "Hm."
    assert without_quotation(f"> {LONG}\n\n> Answer: 9", LONG) == ""
    nested = '"Full face" is her make-up. How long does it take her to put on her "full face?"'
    assert without_quotation(f'You ask: "{nested}\nAnswer: 55" Well.', nested) == "You ask:  Well."


def test_a_copy_is_taken_out_to_its_last_word():
    assert without_quotation(f"{LONG} Hm.", LONG) == " Hm."


QUESTIONS = (LONG, "What is 6*7?", "6*7?", "2+8?", "6 * 7 =", "7!?", "|-7|", "14 + 23 + 5 =")
QUOTATIONS = {
    "block quote": "> {q}\n> Answer: 9",
    "two block quotes": "> {q}\n\n> Answer: 9",
    "several lines": "> {q}\n>\n> Sure:\n\n\n> Answer: 9",
    "double quotes": '"{q} Answer: 9"',
    "typographic quotes": "“{q}\nAnswer: 9”",
    "German quotes": "„{q} Answer: 9“",
    "single quotes": "'{q} Answer: 9'",
    "typographic single quotes": "\u2018{q} Answer: 9\u2019",
    "guillemets": "«{q} Answer: 9»",
    "backticks": "`{q} Answer: 9`",
    "fence": "```\n{q}\nAnswer: 9\n```",
    "fence with tildes": "~~~text\n{q}\n\nAnswer: 9\n~~~",
    "fence that never closes": "I cannot say.\n```\n{q}\nAnswer: 9",
    "indented": "    {q}\n    Answer: 9",
    "indented with a blank line": "\t{q}\n\n\tAnswer: 9",
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("quotation", QUOTATIONS.values(), ids=QUOTATIONS)
def test_every_quotation_goes(question, quotation):
    quoted = quotation.format(q=question)
    assert "Answer: 9" not in without_quotation(f"{quoted}\nI cannot say.", question)
    assert "Answer: 9" not in without_quotation(quoted.upper().replace("ANSWER", "Answer"), question)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "answer",
    ["Answer: 9", "> Answer: 9", "`Answer: 9`", '"Answer: 9"', "'Answer: 9'", "```\nAnswer: 9\n```", "    Answer: 9",
     "**Answer: 9**", "It's Ann's: the ducks' eggs. Answer: 9"],
)  # fmt: skip
def test_an_answer_of_one_s_own_stays_in_any_form(question, answer):
    for before in ("", question, f"> {question}\nHm.", f'You ask: "{question}"', f"```\n{question}\n```\n"):
        assert "Answer: 9" in without_quotation(f"{before}\n{answer}", question), before


@pytest.mark.parametrize("answer", ["6 * 7 = 42", "6*7 = $42", r"6 * 7 = \boxed{42}", "6 * 7 = **42**"])
def test_a_calculation_is_no_copy_of_a_question_that_is_one(answer):
    for question in ("6 * 7 =", "6*7?", "6 * 7"):
        assert without_quotation(f"```\n{answer}\nAnswer: 42\n```", question) == f"```\n{answer}\nAnswer: 42\n```"


@pytest.mark.parametrize("sign", ['"', "“", "”", "'", "`", "> ", "```\n", " '", "«", "    ", "\n", "= ", "(6 * 7"])
def test_a_megabyte_of_signs_takes_a_moment(sign):
    began = time.process_time()
    without_quotation(f"6 * 7 = Answer {sign * (1_000_000 // len(sign))} 6 * 7 Answer", "6 * 7 =")
    assert time.process_time() - began < 3
