"""The program critic is right about any response of the world; what is rendered is read back."""

import random

import pytest

from textgrad_rl.pocket import questions, texts
from textgrad_rl.pocket.arithmetic import work
from textgrad_rl.pocket.misconceptions import ALL, BORROW, CARRY, DIFFICULTIES, SIGN
from textgrad_rl.pocket.questions import Question
from textgrad_rl.pocket.simulate import respond

QUESTION = Question(52, (("-", 17), ("+", 28)))


def responses(count: int) -> list[tuple[Question, str]]:
    rng = random.Random(0)
    drawn = [questions.draw(rng) for _ in range(count)]
    return [(q, respond(q, "", DIFFICULTIES["hard"], rng, scale=rng.random(), slips=rng.random() < 0.3)) for q in drawn]


def test_solutions_are_right_and_read_back() -> None:
    rng = random.Random(0)
    for question in (questions.draw(rng) for _ in range(300)):
        response = texts.solve(question)
        read = texts.parse_solution(response)
        assert read.answer == question.answer
        assert texts.solution(read.steps, question.answer) == response
        assert texts.critique(question, response).endswith(texts.CORRECT)


def test_wrong_answers_are_always_called_wrong() -> None:
    wrong = [(q, r) for q, r in responses(1500) if texts.extract_answer(r) != q.answer]
    assert len(wrong) > 300
    assert all(texts.verdict(texts.critique(q, r)) is False for q, r in wrong)


def test_only_cancelled_errors_separate_verdict_and_answer() -> None:
    """A right answer is called wrong only where two errors cancel, which is rare."""
    right = [texts.verdict(texts.critique(q, r)) for q, r in responses(1500) if texts.extract_answer(r) == q.answer]
    assert right.count(True) / len(right) > 0.95


@pytest.mark.parametrize("m", ALL)
def test_the_cause_is_named(m: object) -> None:
    left, operator, right = {CARRY: (38, "+", 27), BORROW: (62, "-", 25), SIGN: (12, "-", 45)}[m]  # type: ignore[index]
    question = Question(left, ((operator, right),))
    given = work(left, operator, right, {m})  # type: ignore[arg-type]
    critique = texts.critique(question, texts.solution([given], given.value))
    assert [other.phrase in critique for other in ALL] == [other is m for other in ALL]


def test_a_forgotten_borrow_that_changes_the_next_column_is_still_a_borrow() -> None:
    assert texts.cause(work(312, "-", 15), work(312, "-", 15, {BORROW})) is BORROW


def test_by_hand() -> None:
    wrong = "Step 1: 52 - 17, 12-7=5, 5-1=4, so 45. Step 2: 45 + 28, 5+8=13, 4+2+1=7, so 73. Answer: 73"
    critique = texts.critique(QUESTION, wrong)
    assert critique == (
        "Step 1: 52 - 17, 12-7=5, 5-1-1=3, so 35, given 45, wrong. Step 1 forgets the borrow. Verdict: wrong"
    )
    assert texts.feedback("Solve.", [critique]) == "Tell the solver: Borrow when you subtract."
    assert texts.feedback("Solve. Borrow when you subtract.", [critique]) == "Keep the prompt."
    assert texts.improve("Solve.", ["Keep the prompt."]) == "Solve."
    assert texts.improve("Solve.", ["Tell the solver: Carry the tens."] * 2) == "Solve. Carry the tens."
    assert texts.improve("", ["Tell the solver: Carry the tens."]) == "Carry the tens."


@pytest.mark.parametrize("cut", ["", "Step 1: 5", "I do not know.", "Step 1: 52 - 17, 12-7=5, 5-1-1=3, so 35."])
def test_broken_responses_are_wrong_and_blame_no_misconception(cut: str) -> None:
    critique = texts.critique(QUESTION, cut)
    assert texts.verdict(critique) is False
    assert "missing" in critique
    assert not any(m.phrase in critique for m in ALL)


def test_a_critique_of_the_response_leads_to_the_right_solution() -> None:
    for question, response in responses(500):
        critique = texts.critique(question, response)
        expected = response if texts.verdict(critique) else texts.solve(question)
        assert texts.revise(question, response, critique) == expected


def test_the_steps_of_a_critique_are_taken_over() -> None:
    """Those of another question too: what the critique does not reach is worked out from there."""
    foreign = "Step 1: 5 + 2, 5+2=7, so 7, given 8, wrong. Step 1 has a slip. Verdict: wrong"
    revised = texts.revise(QUESTION, "Answer: 9", foreign)
    assert revised == "Step 1: 5 + 2, 5+2=7, so 7. Step 2: 7 + 28, 7+8=15, 0+2+1=3, so 35. Answer: 35"
    assert texts.revise(QUESTION, "Answer: 9", texts.IS_WRONG) == texts.solve(QUESTION)


def test_no_verdict_is_none() -> None:
    assert texts.verdict("Step 1: 1 + 1") is None


def test_texts_of_the_roles() -> None:
    assert texts.critic_input("Q", "R") == "Question: Q\nResponse: R"
    assert texts.critic_input("Q", "R", "7") == "Question: Q\nResponse: R\nAnswer: 7"
    assert texts.refiner_input("Q", "R", "C") == "Question: Q\nResponse: R\nCritique: C"
    assert texts.feedback_input("P", ["a", "b"]) == "Prompt: P\nCritique: a\nCritique: b"
    assert texts.improve_input("P", ["a"]) == "Prompt: P\nFeedback: a"
