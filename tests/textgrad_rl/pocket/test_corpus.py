"""The training text: reproducible, held-out questions absent, every role consistent with its rules."""

import re

from textgrad_rl.pocket import questions, texts
from textgrad_rl.pocket.corpus import Corpus
from textgrad_rl.pocket.misconceptions import DIFFICULTIES
from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS, split_of

HARD = DIFFICULTIES["hard"]


def test_reproducible() -> None:
    first, second, other = Corpus(HARD, 3), Corpus(HARD, 3), Corpus(HARD, 4)
    drawn = [first.draw() for _ in range(50)]
    assert drawn == [second.draw() for _ in range(50)]
    assert drawn != [other.draw() for _ in range(50)]


def test_only_pretraining_questions() -> None:
    corpus = Corpus(HARD, 0)
    found = [text for _ in range(1500) for text in re.findall(r"State the final .* =", corpus.draw().user)]
    assert len(found) > 800
    assert {split_of(text, CHAIN_SUM_SPLITS) for text in found} == {"pretraining"}


def test_refinements_follow_their_critique() -> None:
    corpus, foreign = Corpus(HARD, 0), 0
    for _ in range(500):
        dialogue = corpus.revise()
        found = re.fullmatch(r"Question: (.*)\nResponse: (.*)\nCritique: (.*)", dialogue.user)
        assert found is not None
        question, response, critique = questions.parse(found[1]), found[2], found[3]
        if critique.endswith(("correct.", texts.CORRECT)):
            assert dialogue.assistant == response
        elif critique == texts.critique(question, response):
            assert dialogue.assistant == texts.solve(question)
        elif critique.endswith(texts.WRONG):  # of a response to another question
            foreign += 1
            assert dialogue.assistant.split(", ")[0] in critique
    assert foreign > 30


def test_texts_stay_on_their_lines() -> None:
    corpus = Corpus(HARD, 1)
    for _ in range(500):
        dialogue = corpus.draw()
        assert "\n" not in dialogue.assistant
        assert "\n" not in dialogue.system
        assert dialogue.messages[-1] == {"role": "assistant", "content": dialogue.assistant}
        assert len(dialogue.messages) == (3 if dialogue.system else 2)
