"""Critics of your own for ``textgrad-rl critic eval``: two judges that the embedded model cannot be.

    textgrad-rl critic eval --critic verifier,semantic,examples/embedded_judges.py

A reward model is trained first, in a minute or two: the embedded model with a head that tells right from wrong.
"""

import textgrad_rl as tgr
from textgrad_rl.critics import Rank, RewardModel
from textgrad_rl.quickstart.judges import ranking_judge, reward_model


def critics() -> dict[str, tgr.Critic]:
    return {"rank": Rank(ranking_judge()), "reward-model": RewardModel(reward_model(tgr.load_policy("pocket")))}


if __name__ == "__main__":
    example = tgr.Example({"question": "State the final answer to the following arithmetic problem: 14 - 37 ="}, "-23")
    responses = (
        "Step 1: 14 - 37, flip 37-14, 7-4=3, 3-1=2, so -23. Answer: -23",
        "Step 1: 14 - 37, flip 37-14, 7-4=3, 3-1=2, so 23. Answer: 23",
    )
    cases = [tgr.Case.of_text(example, text, sample=number) for number, text in enumerate(responses)]
    for name, critic in critics().items():
        print(name, [round(feedback.score, 2) for feedback in critic.critique(cases)])
