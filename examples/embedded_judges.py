"""Critics of your own for ``textgrad-rl critic eval``: two judges that the embedded model cannot be.

    textgrad-rl critic eval --critic verifier,semantic,examples/embedded_judges.py

A reward model is trained first, in half a minute, and kept in ./reward-model: the embedded model with a head that tells
right from wrong, in the form of any sequence classification model of Hugging Face.
"""

from pathlib import Path

import textgrad_rl as tgr
from textgrad_rl.critics import Rank, RewardModel
from textgrad_rl.quickstart.judges import ranking_judge, reward_model


def critics() -> dict[str, tgr.Critic]:
    folder = Path("reward-model")
    if not folder.exists():
        for part in reward_model(tgr.load_policy("pocket")):
            part.save_pretrained(folder)
    return {"rank": Rank(ranking_judge()), "reward-model": RewardModel(f"./{folder}")}


if __name__ == "__main__":
    example = tgr.Example({"question": "State the final answer to the following arithmetic problem: 14 - 37 ="}, "-23")
    responses = (
        "Step 1: 14 - 37, flip 37-14, 7-4=3, 3-1=2, so -23. Answer: -23",
        "Step 1: 14 - 37, flip 37-14, 7-4=3, 3-1=2, so 23. Answer: 23",
    )
    cases = [tgr.Case.of_text(example, text, sample=number) for number, text in enumerate(responses)]
    for name, critic in critics().items():
        print(name, [round(feedback.score, 2) for feedback in critic.critique(cases)])
