"""One of several processes that share an update of the embedded model: python rank_worker.py RANK RANKS FOLDER."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

import textgrad_rl as tgr
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies import Row, Segment


def some_rows() -> list[Row]:
    """Return rows of three groups, the same in every process."""
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(5, 60, (count,), generator=generator).tolist())

    contexts = [Segment(tokens(20)) for _ in range(3)]
    return [
        Row(
            context=contexts[number % 3], output_ids=tokens(5 + number), logprobs=(), advantage=(-1.0) ** number,
            reward=0.0, group=str(number % 3),
        )
        for number in range(12)
    ]  # fmt: skip


def main(rank: int, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    policy = tgr.load_policy("pocket")
    if ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=ranks)
    policy.forward_backward(some_rows(), PolicyLoss(entropy=0.01), max_tokens=60, rank=rank, ranks=ranks)
    for parameter in policy.model.parameters() if ranks > 1 else ():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
    gradient = torch.cat([parameter.grad.flatten() for parameter in policy.model.parameters()])
    policy.optimizer_step(tgr.Optimizer(learning_rate=1e-3))
    weights = torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])
    torch.save((gradient, weights), folder / f"{rank}-of-{ranks}.pt")
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
