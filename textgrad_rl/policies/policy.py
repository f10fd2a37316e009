"""A policy: a local model whose weights are trained, and which answers requests with them at once.

One optimizer step is ``forward_backward`` (once or more; gradients add up), ``optimizer_step``, ``publish``.
Left out: adapters, several devices, rollouts in another process. Weights are trained in the type they are held in: in
bfloat16, updates much smaller than a weight are lost to rounding, so train in float32 until master weights are here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.policies.optimizer import Optimizer, configure, make_adamw
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.types import Completion, Dialect, Request

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.losses import Loss
    from textgrad_rl.models.transformers import TransformersModel
    from textgrad_rl.policies.rows import Row


@final
class TransformersPolicy:
    """Trains the weights of a :class:`~textgrad_rl.models.transformers.TransformersModel` and answers through it.

    Args:
        sampler: the model that answers; its weights belong to this policy from now on.

    Raises:
        ModelError: see the methods.
    """

    def __init__(self, sampler: TransformersModel) -> None:
        """Start without an optimizer; the first step makes it."""
        self._sampler = sampler
        self._adamw: Any = None
        self._steps = 0
        self.model: Any = sampler.model
        self.tokenizer: Any = sampler.tokenizer

    @property
    def name(self) -> str:
        """The model's name."""
        return self._sampler.name

    @property
    def dialect(self) -> Dialect:
        """The model's dialect."""
        return self._sampler.dialect

    @property
    def trainable(self) -> bool:
        """True."""
        return True

    @property
    def weight_version(self) -> int:
        """How often :meth:`publish` was called."""
        return self._sampler.weight_version

    @property
    def deterministic(self) -> bool:
        """Whether answers are a function of the request and the weights alone."""
        return self._sampler.deterministic

    async def complete(self, request: Request) -> Completion:
        """Answer one request with the weights as they are now."""
        return await self._sampler.complete(request)

    def log_probs(self, rows: Sequence[Row], *, max_tokens: int = 8192) -> list[list[float]]:
        """Return the log-probability of every output token of every row, without a gradient.

        Args:
            rows: in any order.
            max_tokens: padded tokens computed at a time.
        """
        import torch

        from textgrad_rl.policies.log_probs import log_probs, micro_batches

        results: list[list[float]] = [[] for _ in rows]
        with self._sampler.lock, torch.inference_mode():
            full = [index for index, row in enumerate(rows) if row.output_ids]
            for places in micro_batches([rows[index] for index in full], max_tokens):
                indices = [full[place] for place in places]
                lp_N, _ = log_probs(self.model, [rows[index] for index in indices])
                for index, lp_T in zip(indices, lp_N.split([len(rows[i].output_ids) for i in indices]), strict=True):
                    results[index] = lp_T.tolist()
        return results

    def forward_backward(
        self,
        rows: Sequence[Row],
        loss: Loss,
        *,
        max_tokens: int = 8192,
        old_log_probs: Sequence[Sequence[float]] | None = None,
    ) -> dict[str, float]:
        """Add the gradient of a loss over rows to the gradients.

        The loss is ``sum over rows of weight * sum over tokens of term``, with weights over all rows, so the result
        does not depend on ``max_tokens``. Rows without advantage or tokens count in the weights but are not computed.

        Args:
            rows: of one optimizer step.
            loss: weights and terms; see :mod:`textgrad_rl.methods.losses`.
            max_tokens: padded tokens per micro-batch.
            old_log_probs: at batch start, per row and token; None takes the present ones, which is right for the first
                optimizer step of a batch.

        Returns:
            ``loss``; ``rows``, ``skipped_rows`` and ``tokens`` (trained); where there are such tokens ``entropy`` in
            nats and ``mean_log_prob_sample``, ``mean_log_prob_refinement``.

        Raises:
            ModelError: for an advantage or a loss that is not finite, naming the row's source; gradients are then
                zero.
        """
        import torch

        from textgrad_rl.policies.log_probs import log_probs, micro_batches

        for row in rows:
            if not math.isfinite(row.advantage):
                self._zero_grad()
                raise ModelError(f"the advantage of row {row.source!r} is {row.advantage}")
        weights = loss.row_weights(rows)
        chosen = [index for index, row in enumerate(rows) if row.output_ids and row.advantage and weights[index]]
        totals = _Totals()
        with self._sampler.lock:
            for places in micro_batches([rows[index] for index in chosen], max_tokens):
                indices = [chosen[place] for place in places]
                batch = [rows[index] for index in indices]
                lp_N, entropy_N = log_probs(self.model, batch)
                if old_log_probs is None:
                    lo_N = lp_N.detach()
                else:
                    lo_N = torch.tensor([lo for index in indices for lo in old_log_probs[index]]).to(lp_N)
                advantage_N = _per_token(batch, [row.advantage for row in batch]).to(lp_N)
                refinement_N = _per_token(batch, [row.kind == "refinement" for row in batch]).to(lp_N.device)
                weight_N = _per_token(batch, [weights[index] for index in indices]).to(lp_N)
                terms_N = weight_N * loss.token_terms(lp_N, lo_N, advantage_N, refinement_N)
                self._check_finite(batch, terms_N)
                terms_N.sum().backward()
                totals.add(terms_N, lp_N, entropy_N, refinement_N)
        return {**totals.means(), "rows": float(len(rows)), "skipped_rows": float(len(rows) - len(chosen))}

    def optimizer_step(self, config: Optimizer | None = None) -> dict[str, float]:
        """Move the weights along the gradients and zero these; without gradients nothing moves.

        Args:
            config: numbers of this step; the default ones when None.

        Returns:
            ``grad_norm`` before it was bounded, ``learning_rate``.

        Raises:
            ModelError: when the gradient is not finite; weights are then as before and gradients zero.
        """
        import torch

        config = config or Optimizer()
        with self._sampler.lock:
            parameters = [p for p in self.model.parameters() if p.requires_grad]
            if self._adamw is None:
                self._adamw = make_adamw(parameters)
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
            if not math.isfinite(norm):
                self._zero_grad()
                raise ModelError(f"the gradient of {self.name} is not finite (norm {norm}); weights are as before")
            learning_rate = configure(self._adamw, config, self._steps)
            self._adamw.step()
            self._steps += 1
            self._zero_grad()
        return {"grad_norm": norm, "learning_rate": learning_rate}

    def publish(self) -> None:
        """Count a new version. In this process the weights that are trained are the ones that answer."""
        with self._sampler.lock:
            self._sampler.weight_version += 1

    def snapshot(self) -> TransformersModel:
        """Return a frozen copy of the present weights, named ``name@version``: a judge that does not move."""
        copied = self._copy(f"{self.name}@{self.weight_version}")
        copied.model.requires_grad_(False)
        return copied

    def fork(self, name: str) -> TransformersPolicy:
        """Return an independent policy that starts from the present weights, with an optimizer of its own."""
        return TransformersPolicy(self._copy(name))

    def save(self, folder: str | Path) -> None:
        """Write weights, tokenizer and the optimizer's state; ``from_pretrained`` reads the folder too.

        Raises:
            RecordsError: when the folder cannot be written; an earlier one is then still there.
        """
        from textgrad_rl.policies.storage import State, write

        with self._sampler.lock:
            adamw = None if self._adamw is None else self._adamw.state_dict()
            write(Path(folder), self.model, self.tokenizer, State(adamw, self._steps, self.weight_version))

    def load(self, folder: str | Path) -> None:
        """Restore what :meth:`save` wrote.

        Raises:
            RecordsError: for a damaged folder or another architecture; nothing has changed then.
        """
        from textgrad_rl.policies.storage import read

        with self._sampler.lock:
            adamw = make_adamw(p for p in self.model.parameters() if p.requires_grad)
            weights, state = read(Path(folder), self.model, adamw)
            self.model.load_state_dict(weights)
            self._adamw = None if state.adamw is None else adamw
            self._steps = state.steps
            self._sampler.weight_version = state.weight_version
            self._zero_grad()

    def _copy(self, name: str) -> TransformersModel:
        """Return a model with a copy of the weights."""
        from textgrad_rl.models.transformers import TransformersModel

        with self._sampler.lock:
            model = copy.deepcopy(self.model)
        return TransformersModel(
            model,
            self.tokenizer,
            name=name,
            dialect=self.dialect,
            deterministic=self._sampler.deterministic,
            max_batch_rows=self._sampler.max_batch_rows,
        )

    def _zero_grad(self) -> None:
        self.model.zero_grad(set_to_none=True)

    def _check_finite(self, batch: Sequence[Row], terms_N: Tensor) -> None:
        """Refuse a loss that is not finite, before it reaches a gradient."""
        if bool(terms_N.isfinite().all()):
            return
        self._zero_grad()
        for row, terms_T in zip(batch, terms_N.split([len(row.output_ids) for row in batch]), strict=True):
            if not bool(terms_T.isfinite().all()):
                raise ModelError(f"the loss of row {row.source!r} is not finite")

    def __repr__(self) -> str:
        return f"TransformersPolicy({self.name!r}, weight_version={self.weight_version})"


def _per_token(batch: Sequence[Row], values: Sequence[float]) -> Tensor:
    """Return every row's value at each of its tokens, (N,)."""
    import torch

    lengths = torch.tensor([len(row.output_ids) for row in batch])
    return torch.tensor(values, dtype=torch.float64 if type(values[0]) is float else None).repeat_interleave(lengths)


class _Totals:
    """Sums over micro-batches, for the metrics."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.entropy = 0.0
        self.tokens = {"sample": 0, "refinement": 0}
        self.log_prob = {"sample": 0.0, "refinement": 0.0}

    def add(self, terms_N: Tensor, lp_N: Tensor, entropy_N: Tensor, refinement_N: Tensor) -> None:
        """Add a micro-batch."""
        self.loss += float(terms_N.detach().sum())
        self.entropy += float(entropy_N.sum())
        for kind, mask_N in (("sample", ~refinement_N), ("refinement", refinement_N)):
            self.tokens[kind] += int(mask_N.sum())
            self.log_prob[kind] += float(lp_N.detach()[mask_N].sum())

    def means(self) -> dict[str, float]:
        """Return sums and means by name."""
        tokens = sum(self.tokens.values())
        metrics = {"loss": self.loss, "tokens": float(tokens)}
        if tokens:
            metrics["entropy"] = self.entropy / tokens
        for kind, count in self.tokens.items():
            if count:
                metrics[f"mean_log_prob_{kind}"] = self.log_prob[kind] / count
        return metrics
