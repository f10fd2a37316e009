"""The training text: a mixture of the five roles, every example drawn afresh, none from a held-out question."""

import random
from dataclasses import dataclass

from textgrad_rl.pocket import texts
from textgrad_rl.pocket.misconceptions import ALL, Difficulty
from textgrad_rl.pocket.prompts import draw_directives, draw_prompt, random_sentence
from textgrad_rl.pocket.questions import Question, draw_from
from textgrad_rl.pocket.simulate import respond

MIXTURE = (23, 20, 21, 11, 25)
"""Of 100 dialogues: solve, check, revise, feedback, improve. The short answers of the last two need many examples."""


@dataclass(frozen=True)
class Dialogue:
    """One training example; an empty `system` means no system message. Only `assistant` is learned."""

    system: str
    user: str
    assistant: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The dialogue as chat messages, the assistant's included."""
        start = [{"role": "system", "content": self.system}] if self.system else []
        return [*start, {"role": "user", "content": self.user}, {"role": "assistant", "content": self.assistant}]


class Corpus:
    """An endless stream of dialogues at one difficulty, reproducible from its seed."""

    def __init__(self, difficulty: Difficulty, seed: int) -> None:
        self.difficulty = difficulty
        self.rng = random.Random(seed)

    def draw(self) -> Dialogue:
        """The next dialogue, of a role drawn with the weights of `MIXTURE`."""
        roles = (self.solve, self.check, self.revise, self.feedback, self.improve)
        return self.rng.choices(roles, weights=MIXTURE)[0]()

    def solve(self) -> Dialogue:
        """The solver with its misconceptions, cured as far as its prompt says so."""
        question = self._question()
        prompt = draw_prompt(self.rng, draw_directives(self.rng))
        return Dialogue(prompt, question.text, respond(question, prompt, self.difficulty, self.rng))

    def check(self) -> Dialogue:
        """The critic on a response to check; it sees the reference answer in a third of the examples."""
        question = self._question()
        response = self._draft(question)
        if self.rng.random() < 0.04:
            response = response[: self.rng.randrange(len(response))].strip() or random_sentence(self.rng)
        answer = str(question.answer) if self.rng.random() < 0.35 else None
        shown = texts.critic_input(question.text, response, answer)
        return Dialogue(texts.CRITIC, shown, texts.critique(question, response))

    def revise(self) -> Dialogue:
        """The refiner: what is called correct stays word for word, a full critique's steps are taken over.

        Also those of a critique of another question. The bare word "wrong" leaves some misconceptions in place.
        """
        question, rng = self._question(), self.rng
        response, chance = self._draft(question), rng.random()
        right = texts.extract_answer(response) == question.answer
        if chance < 0.68:
            other = question if chance < 0.53 else self._question()
            text = texts.critique(other, response if other is question else self._draft(other))
            answer = texts.revise(question, response, text)
        elif chance < 0.94 and not right:
            told = chance >= 0.84
            text = f"{texts.IS_WRONG} The answer is {question.answer}." if told else texts.IS_WRONG
            answer = respond(question, "", self.difficulty, rng, scale=0.0 if told else 0.35)
        elif chance < 0.94:
            text, answer = texts.IS_CORRECT, response
        else:
            text, answer = rng.choice((texts.IS_CORRECT, f"The solution is right. {texts.CORRECT}")), response
        return Dialogue(texts.REFINER, texts.refiner_input(question.text, response, text), answer)

    def feedback(self) -> Dialogue:
        """The writer of prompt feedback on one to four critiques of responses, half the time under another prompt.

        Then the critiques name misconceptions that the prompt speaks to already, which adds nothing to it.
        """
        prompt, critiques = draw_prompt(self.rng, draw_directives(self.rng)), list[str]()
        followed = prompt if self.rng.random() < 0.5 else draw_prompt(self.rng, draw_directives(self.rng)[:1])
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 4))):
            question = self._question()
            response = respond(question, followed, self.difficulty, self.rng, slips=self.rng.random() < 0.1)
            right = texts.extract_answer(response) == question.answer
            short = texts.IS_CORRECT if right else texts.IS_WRONG
            critiques.append(short if self.rng.random() < 0.06 else texts.critique(question, response))
        shown = texts.feedback_input(prompt, critiques)
        return Dialogue(texts.FEEDBACK, shown, texts.feedback(prompt, critiques))

    def improve(self) -> Dialogue:
        """The writer of prompts on one to four pieces of feedback."""
        prompt, feedbacks = draw_prompt(self.rng, draw_directives(self.rng), others=(0, 1, 1, 2, 2, 3)), []
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 4))):
            told = draw_directives(self.rng)
            if self.rng.random() < 0.7:
                told.sort(key=ALL.index)
            feedbacks.append(texts.TELL + " ".join(m.directive for m in told) if told else texts.KEEP)
        return Dialogue(texts.IMPROVE, texts.improve_input(prompt, feedbacks), texts.improve(prompt, feedbacks))

    def _question(self) -> Question:
        return draw_from("pretraining", self.rng)

    def _draft(self, question: Question) -> str:
        """A response to check or revise: misconceptions at scale 0, 0.5 or 1, one slip in ten."""
        scale = self.rng.choices((0.0, 0.5, 1.0), weights=(20, 20, 60))[0]
        prompt = draw_prompt(self.rng, draw_directives(self.rng))
        return respond(question, prompt, self.difficulty, self.rng, scale=scale, slips=self.rng.random() < 0.1)
