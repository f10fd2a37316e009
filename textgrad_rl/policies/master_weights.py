"""Float32 copies of weights that are held in a narrower type, so that small updates are not lost to rounding.

A bfloat16 has 8 bits of precision: an update below 1/512 of a weight rounds to nothing, however often it is repeated.
So the optimizer moves copies in float32, and the weights follow them, rounded
(https://arxiv.org/abs/1710.03740, section 3.1). Weights in float32 are their own masters.

Left out: float32 sums of the gradients of several micro-batches (they add up in the weights' own type).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Tensor


@final
class MasterWeights:
    """What an optimizer moves in the place of weights.

    Args:
        weights: what is trained, of any floating type.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    >>> masters = MasterWeights([weight])
    >>> for _ in range(8):
    ...     masters.parameters[0].data += 0.001  # a bfloat16 next to 1 is 0.0078 away
    ...     masters.give_weights()
    >>> weight.item()
    1.0078125
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        """Copy what is narrower than float32."""
        self._weights = list(weights)
        self.parameters = [
            weight.detach().float().requires_grad_() if needs_master(weight) else weight for weight in self._weights
        ]

    @property
    def copies(self) -> list[Tensor]:
        """The float32 copies, in the order of their weights; what a checkpoint has to keep."""
        return [master.detach() for weight, master in self._pairs()]

    def take_gradients(self) -> None:
        """Copy the weights' gradients to their masters."""
        for weight, master in self._pairs():
            master.grad = None if weight.grad is None else weight.grad.float()

    def give_weights(self) -> None:
        """Round the masters to the weights, and drop the masters' gradients."""
        for weight, master in self._pairs():
            weight.detach().copy_(master.detach())
            master.grad = None

    def drop_gradients(self) -> None:
        """Free the masters' gradients."""
        for _, master in self._pairs():
            master.grad = None

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights that have a copy, with their copy."""
        pairs = zip(self._weights, self.parameters, strict=True)
        return [(weight, master) for weight, master in pairs if weight is not master]


def needs_master(weight: Tensor) -> bool:
    """Whether a weight's type is narrower than float32."""
    import torch

    return torch.finfo(weight.dtype).bits < 32
