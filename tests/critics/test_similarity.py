import pytest

from textgrad_rl_critics import Guards, SemanticSimilarity
from textgrad_rl_critics.similarity import missing
from textgrad_rl_graphs.errors import ConfigError, DataError

SOLUTION = "Bees hum.\nCats nap.\n#### 42"


def test_score_by_hand(make_case, letters):
    case = make_case("Bees hum.\nAnswer: 42", solution="Bees hum. Bees hum.\n#### 42")
    feedback = SemanticSimilarity(letters).critique([case])[0]
    assert feedback.score == pytest.approx(1.0)  # the same letters, twice
    assert feedback.correct is None
    assert feedback.components == pytest.approx({"cosine": 1.0, "cap": 1.0, "length_ratio": 0.5, "copy_rate": 0.0})


def test_only_the_explanation_is_compared(make_case, letters):
    critic = SemanticSimilarity(letters)
    plain = make_case("Bees hum. Cats nap.", solution=SOLUTION)
    dressed = make_case("<think>zzzz qqqq</think>Bees hum. Cats nap.\nAnswer: zzzz", solution=SOLUTION)
    one, two = critic.critique([plain, dressed])
    assert one.score == two.score
    assert not any("z" in text or "#" in text for call in letters.calls for text in call)


def test_critique_names_the_missing_sentences(make_case, letters):
    partly, wholly = (make_case(text, solution=SOLUTION) for text in ("Bees hum.", "Bees hum. Cats nap."))
    one, two = SemanticSimilarity(letters).critique([partly, wholly])
    assert (one.critique, one.sees) == ('The explanation does not say: "Cats nap.".', "solution")
    assert (two.critique, two.sees) == ("", "nothing")
    assert SemanticSimilarity(letters).critique([partly], critiques=False)[0].critique == ""


def test_an_answer_without_explanation_gets_nothing(make_case, letters):
    feedback = SemanticSimilarity(letters).critique([make_case("Answer: 42", solution=SOLUTION)])[0]
    assert (feedback.score, feedback.fault) == (0.0, None)
    assert "Bees hum." in feedback.critique


def test_a_copied_question_gets_nothing(make_case, letters):
    question = "Do bees hum and do cats nap?"
    feedback = SemanticSimilarity(letters).critique([make_case(question, question=question, solution=SOLUTION)])[0]
    assert feedback.components["cosine"] > 0.5
    assert feedback.components["copy_rate"] == 1.0
    assert feedback.score == 0.0


def test_a_wordy_response_is_capped(make_case, letters):
    feedback = SemanticSimilarity(letters).critique([make_case("Bees hum. Cats nap. " * 6, solution=SOLUTION)])[0]
    assert feedback.components["cosine"] == pytest.approx(1.0)
    assert feedback.score == pytest.approx(0.5)
    lenient = SemanticSimilarity(letters, guards=Guards(length_factor=10))
    assert lenient.critique([make_case("Bees hum. Cats nap. " * 6, solution=SOLUTION)])[0].score == pytest.approx(1.0)


def test_no_score_depends_on_its_neighbours(make_case, letters):
    cases = [make_case(f"Bees hum {word}.", solution=f"Bees {word}.") for word in ("zig", "zag", "zoo")]
    critic = SemanticSimilarity(letters)
    together, alone = critic.critique(cases), [critic.critique([case])[0] for case in cases]
    backwards = critic.critique(cases[::-1])[::-1]
    assert [f.score for f in together] == [f.score for f in alone] == [f.score for f in backwards]
    assert [f.components["control"] for f in together] == [f.components["control"] for f in backwards]
    assert all("control" not in f.components for f in alone)


def test_the_control_is_another_reference(make_case, letters):
    cases = [make_case("aaa", solution="aaa"), make_case("bbb", solution="bbb"), make_case("bbb", solution="bbb")]
    feedback = SemanticSimilarity(letters).critique(cases)
    assert [(f.components["cosine"], f.components["control"]) for f in feedback] == [(1.0, 0.0)] * 3


def test_one_batch_of_unique_texts_per_call(make_case, letters):
    cases = [make_case("Bees hum.", solution=SOLUTION), make_case("Cats nap.", solution=SOLUTION)] * 3
    critic = SemanticSimilarity(letters)
    critic.critique(cases)
    critic.critique(cases, critiques=False)
    reference = ["Bees hum.\nCats nap.", "Bees hum.", "Cats nap."]
    assert letters.calls == [reference, ["Bees hum.", "Cats nap."], ["Bees hum.", "Cats nap."]]


def test_references(make_case, letters):
    critic = SemanticSimilarity(letters)
    assert critic.critique([make_case("no", answer="on")])[0].score == pytest.approx(1.0)
    assert critic.reference(make_case("x", solution="#### 42").example) == "#### 42"
    with pytest.raises(DataError, match="solution"):
        critic.critique([make_case("no", answer=None)])
    assert len(letters.calls) == 2


def test_a_revealed_answer_is_owned_up_to(make_case, letters):
    feedback = SemanticSimilarity(letters).critique([make_case("no", answer="seven")])[0]
    assert ("seven" in feedback.critique, feedback.sees) == (True, "answer")


async def test_missing_is_empty_when_all_is_said(letters):
    from textgrad_rl_critics.embedding import Embedder

    said, (wanted,) = await Embedder(letters).embed(["ab", "cd"], [["ab", "cd", "xy"]])
    assert missing(["ab", "cd", "xy"], ["ab", "cd"], wanted, said, 0.7) == ["xy"]
    assert missing(["ab"], [], wanted, {}, 0.7) == ["ab"]
    assert missing([], [], wanted, {}, 0.7) == []


def test_settings(letters):
    with pytest.raises(ConfigError):
        SemanticSimilarity(letters, threshold=1.5)
