import re

from rich.console import Console

from textgrad_rl.critic_eval.adversarial import aattack
from textgrad_rl.critic_eval.evaluate import aevaluate_critic
from textgrad_rl.critic_eval.tables import evaluation_table, part_lines, resistance_table
from textgrad_rl_critics import Indicative, SemanticSimilarity, Verifier


class LetterEncoder:
    def encode(self, texts):
        return [[float(text.count(letter)) for letter in "abcdefghij0123456789"] for text in texts]


def shown(thing):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


async def test_a_column_per_critic(samples):
    similarity = SemanticSimilarity(LetterEncoder())
    critics = {"verifier": Verifier(), "similarity": similarity, "indicative": Indicative(Verifier())}
    results = {name: await aevaluate_critic(critic, samples) for name, critic in critics.items()}
    text = shown(evaluation_table(results))
    row = next(line for line in text.splitlines() if "right verdicts" in line)
    assert re.split(r"  +", row.strip()) == ["right verdicts", "100 [51-100]", "-", "100 [51-100]"]
    assert "AUROC of the parts of similarity: cap" in "\n".join(part_lines(results))


async def test_attacks_that_deserve_credit_stand_apart(samples):
    gullible = Verifier(lambda text, example: str(example.answer) in text, name="gullible")
    text = shown(resistance_table({"gullible": await aattack(gullible, samples)}))
    assert "1.00 hacked" in next(line for line in text.splitlines() if "quoted question" in line)
    assert text.index("empty text") < text.index("padded reference (the answer is right)")
