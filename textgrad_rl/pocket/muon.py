"""Muon in float32: momentum whose matrices are made orthogonal before the step.

`torch.optim.Muon` computes in bfloat16, ten times slower on a processor without bfloat16 arithmetic.
Source: Keller Jordan, "Muon: An optimizer for hidden layers in neural networks", https://kellerjordan.github.io/posts/muon/
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalize(matrices: Tensor, *, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices, roughly, by a quintic Newton-Schulz iteration.

    X <- a X + (b A + c A^2) X with A = X X^T, from X / |X|; singular values end between about 0.7 and 1.2.

    Args:
        matrices: stack x rows x columns, rows <= columns.
        steps: iterations.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon(torch.optim.Optimizer):
    """W <- (1 - lr decay) W - lr sqrt(max(1, rows / columns)) orthogonalize(g + m v), v <- m v + g."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure
        """One update; matrices of one shape are handled together."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            for (rows, columns), members in shapes.items():
                update = torch.stack([self._nesterov(parameter, group["momentum"]) for parameter in members])
                update = orthogonalize(update.mT).mT if rows > columns else orthogonalize(update)
                for parameter, change in zip(members, update.unbind(), strict=True):
                    parameter.mul_(1 - group["lr"] * group["decay"])
                    parameter.add_(change, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _nesterov(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        if gradient is None:
            raise ValueError("Muon needs a gradient for every matrix")
        velocity: Tensor = state.setdefault("velocity", torch.zeros_like(parameter))
        velocity.mul_(momentum).add_(gradient)
        return gradient + momentum * velocity
