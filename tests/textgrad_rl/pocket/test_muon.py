"""Orthogonal updates: singular values near 1, the same as torch's Muon up to its precision."""

import torch

from textgrad_rl.pocket.muon import Muon, orthogonalize


def test_singular_values_end_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 16, 48)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_agrees_with_torch() -> None:
    torch.manual_seed(0)
    for shape in ((16, 48), (48, 16), (16, 16)):
        start = torch.randn(shape)
        ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        updates = [Muon([ours], lr=0.02), torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.1)]
        for _ in range(3):
            ours.grad = torch.randn(shape)
            theirs.grad = ours.grad.clone()
            for update in updates:
                update.step()
        assert torch.allclose(ours, theirs, atol=2e-3)
        assert (ours - start).abs().mean() > 1e-3
