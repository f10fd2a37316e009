"""A policy: a local model whose weights are trained, and which answers requests with them at once.

One optimizer step is ``forward_backward`` (once or more; gradients add up), ``optimizer_step``, ``publish``.
Weights in bfloat16 are moved through float32 masters (:mod:`textgrad_rl.policies.master_weights`); with an adapter
(:mod:`textgrad_rl.policies.lora`) it alone is trained and saved.
Left out: several devices, rollouts in another process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.policies import activation_checkpoints
from textgrad_rl.policies.lora import copy_model, merged
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl.policies.updater import Updater
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Completion, Dialect, Request

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from torch import Tensor

    from textgrad_rl.methods.losses import Loss
    from textgrad_rl.models.transformers import TransformersModel
    from textgrad_rl.policies.rows import Row


@final
class TransformersPolicy:
    """Trains the weights of a :class:`~textgrad_rl.models.transformers.TransformersModel` and answers through it.

    Args:
        sampler: the model that answers; its weights belong to this policy from now on.
        checkpoint_activations: computes activations twice to keep fewer of them; see
            :mod:`textgrad_rl.policies.activation_checkpoints`.

    Raises:
        ConfigError: for activation checkpoints of an architecture without them.
        ModelError: see the methods.
    """

    def __init__(self, sampler: TransformersModel, *, checkpoint_activations: bool = False) -> None:
        """Start without an optimizer; the first step makes it."""
        self._sampler = sampler
        self.model: Any = sampler.model
        self.tokenizer: Any = sampler.tokenizer
        self._updater = self._new_updater()
        self._max_positions = int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 1 << 30))
        self._checkpoint_activations = checkpoint_activations
        if checkpoint_activations:
            activation_checkpoints.enable(self.model)

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

    def log_probs(self, rows: Sequence[Row], *, max_tokens: int | None = None) -> list[list[float]]:
        """Return the log-probability of every output token of every row, without a gradient.

        Args:
            rows: in any order; of one that is longer than the model reads nothing is returned.
            max_tokens: computed at a time; those that rows share count once. None leaves it to the device.
        """
        import torch

        from textgrad_rl.policies.log_probs import log_probs

        results: list[list[float]] = [[] for _ in rows]
        with self._sampler.lock, torch.inference_mode():
            full = [index for index, row in enumerate(rows) if row.output_ids and self._fits(row)]
            for indices in self._micro_batches(rows, full, max_tokens):
                lp_N, _ = log_probs(self.model, [rows[index] for index in indices], entropy=False)
                for index, lp_T in zip(indices, lp_N.split([len(rows[i].output_ids) for i in indices]), strict=True):
                    results[index] = lp_T.tolist()
        return results

    def forward_backward(
        self,
        rows: Sequence[Row],
        loss: Loss,
        *,
        max_tokens: int | None = None,
        old_log_probs: Sequence[Sequence[float]] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> dict[str, float]:
        """Add the gradient of a loss over rows to the gradients.

        The loss is that of :mod:`textgrad_rl.methods.losses`, with weights over all rows, so the result does not depend
        on ``max_tokens``. Rows without weight or tokens are not computed, nor rows longer than the model reads (a long
        reference solution, a critique in the prompt): they are skipped and counted.

        Args:
            rows: of one optimizer step.
            loss: weights and terms.
            max_tokens: per micro-batch; those that rows share count once. It bounds the memory; None leaves it to
                the device.
            old_log_probs: at batch start, per row and token; None takes the present ones, which is right for the first
                optimizer step of a batch.
            rank: which of the processes sharing the work this is, from 0; it computes every ``ranks``-th micro-batch.
            ranks: how many these are. Each is given all rows, and the sum of their gradients is that of all rows.

        Returns:
            ``rows``, ``skipped_rows`` and of these ``too_long_rows``; of what was computed here ``loss`` and ``tokens``
            (trained), and where there are such tokens ``entropy`` in nats, ``entropy_sample``, ``entropy_refinement``,
            ``mean_log_prob_sample``, ``mean_log_prob_refinement``, and ``NAME_share`` for every mark of the loss.

        Raises:
            ModelError: for an advantage or a loss that is not finite, naming the row's source; gradients are then
                zero.
            ConfigError: for a rank that does not exist.
        """
        import torch

        from textgrad_rl.methods.tokens import tokens_of
        from textgrad_rl.policies.log_probs import log_probs

        if not 0 <= rank < ranks:
            raise ConfigError(f"ranks count from 0: got rank {rank} of {ranks}")
        for row in rows:
            if not math.isfinite(row.advantage):
                self._zero_grad()
                raise ModelError(f"the advantage of row {row.source!r} is {row.advantage}")
        weights, bonuses = loss.row_weights(rows), loss.entropy_weights(rows)
        live = [index for index, row in enumerate(rows) if row.output_ids and (weights[index] or bonuses[index])]
        chosen = [index for index in live if self._fits(rows[index])]
        totals = _Totals()
        sparing = activation_checkpoints.in_use(self.model) if self._checkpoint_activations else nullcontext()
        with self._sampler.lock, sparing:
            for indices in islice(self._micro_batches(rows, chosen, max_tokens), rank, None, ranks):
                batch = [rows[index] for index in indices]
                lp_N, entropy_N = log_probs(self.model, batch)
                assert entropy_N is not None
                old = None if old_log_probs is None else [old_log_probs[index] for index in indices]
                tokens = tokens_of(batch, lp_N, old)
                weight_N, bonus_N = (
                    torch.tensor([values[index] for index in indices], dtype=torch.float64).to(lp_N)[tokens.row_N]
                    for values in (weights, bonuses)
                )
                terms_N = weight_N * loss.token_terms(tokens)
                if any(bonuses):
                    terms_N = terms_N - bonus_N * entropy_N
                self._check_finite(batch, terms_N)
                terms_N.sum().backward()
                totals.add(terms_N, lp_N, entropy_N, tokens.refinement_N, loss.marks(tokens))
        counts = {"rows": len(rows), "skipped_rows": len(rows) - len(chosen), "too_long_rows": len(live) - len(chosen)}
        return totals.means() | {name: float(count) for name, count in counts.items()}

    def optimizer_step(self, config: Optimizer | None = None) -> dict[str, float]:
        """Move the weights along the gradients and zero these; without gradients nothing moves.

        Args:
            config: numbers of this step; the default ones when None.

        Returns:
            ``grad_norm`` before it was bounded, ``learning_rate``.

        Raises:
            ModelError: when the gradient is not finite; weights are then as before and gradients zero.
            ConfigError: for another optimizer than that of the steps before.
        """
        with self._sampler.lock:
            try:
                return self._updater.step(config or Optimizer())
            except ModelError as error:
                raise ModelError(f"{self.name}: {error}") from error
            finally:
                self._zero_grad()

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
        """Return an independent policy that starts from the present weights, with an optimizer of its own.

        Where an adapter is trained, the fork has one of its own, over the same frozen weights in memory.
        """
        return TransformersPolicy(self._copy(name), checkpoint_activations=self._checkpoint_activations)

    def save(self, folder: str | Path, *, merge: bool = False) -> None:
        """Write weights, tokenizer and the optimizer's state; ``from_pretrained`` reads the folder too.

        Args:
            folder: replaced if it is there. Of a policy with an adapter it gets the adapter alone, in peft's format.
            merge: write whole weights instead, with the adapter in them and without the optimizer's state.

        Raises:
            RecordsError: when the folder cannot be written; an earlier one is then still there.
        """
        from textgrad_rl.policies.storage import State, write

        with self._sampler.lock:
            model = merged(self.model) if merge else self.model
            updater = self._updater.state() if model is self.model else None  # an adapter's fits no whole weights
            write(Path(folder), model, self.tokenizer, State(updater, self.weight_version))

    def load(self, folder: str | Path) -> None:
        """Restore what :meth:`save` wrote.

        Raises:
            RecordsError: for a damaged folder or another architecture; nothing has changed then.
        """
        from textgrad_rl.policies.storage import put, read

        with self._sampler.lock:
            weights, state = read(Path(folder), self.model)
            self._updater = self._new_updater(state.updater)
            put(self.model, weights)
            self._sampler.weight_version = state.weight_version
            self._zero_grad()

    def push_to_hub(self, repo_id: str, *, merge: bool = False, private: bool = True, api: HfApi | None = None) -> str:
        """Upload to the Hugging Face hub; see :func:`textgrad_rl.policies.hub.push_policy`."""
        from textgrad_rl.policies.hub import push_policy

        return push_policy(self, repo_id, merge=merge, private=private, api=api)

    def _copy(self, name: str) -> TransformersModel:
        """Return a model with a copy of the weights."""
        from textgrad_rl.models.transformers import TransformersModel

        with self._sampler.lock:
            model = copy_model(self.model)
        return TransformersModel(
            model,
            self.tokenizer,
            name=name,
            dialect=self.dialect,
            deterministic=self._sampler.deterministic,
            max_batch_rows=self._sampler.max_batch_rows,
        )

    def _micro_batches(self, rows: Sequence[Row], chosen: Sequence[int], max_tokens: int | None) -> Iterator[list[int]]:
        """Yield the chosen indices of rows that are computed together."""
        from textgrad_rl.policies.log_probs import inputs
        from textgrad_rl.policies.micro_batches import micro_batches, usual_tokens

        bound = usual_tokens(self.model.device) if max_tokens is None else max_tokens
        for places in micro_batches([inputs(rows[index]) for index in chosen], bound):
            yield [chosen[place] for place in places]

    def _fits(self, row: Row) -> bool:
        """Whether the model reads as many tokens as the row has."""
        return len(row.context.tokens()) + len(row.output_ids) <= self._max_positions

    def _new_updater(self, state: dict[str, Any] | None = None) -> Updater:
        """Return what moves the weights that are trained."""
        return Updater((p for p in self.model.parameters() if p.requires_grad), state)

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


class _Totals:
    """Sums over micro-batches, for the metrics."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.tokens = {"sample": 0, "refinement": 0}
        self.entropy = {"sample": 0.0, "refinement": 0.0}
        self.log_prob = {"sample": 0.0, "refinement": 0.0}
        self.marked: dict[str, int] = {}

    def add(
        self, terms_N: Tensor, lp_N: Tensor, entropy_N: Tensor, refinement_N: Tensor, marks: Mapping[str, Tensor]
    ) -> None:
        """Add a micro-batch."""
        terms_N, lp_N, entropy_N = terms_N.detach(), lp_N.detach(), entropy_N.detach()
        for name, mark_N in marks.items():
            self.marked[name] = self.marked.get(name, 0) + int(mark_N.sum())
        self.loss += float(terms_N.sum())
        for kind, mask_N in (("sample", ~refinement_N), ("refinement", refinement_N)):
            self.tokens[kind] += int(mask_N.sum())
            self.entropy[kind] += float(entropy_N[mask_N].sum())
            self.log_prob[kind] += float(lp_N[mask_N].sum())

    def means(self) -> dict[str, float]:
        """Return sums and means by name."""
        tokens = sum(self.tokens.values())
        metrics = {"loss": self.loss, "tokens": float(tokens)}
        if tokens:
            metrics["entropy"] = sum(self.entropy.values()) / tokens
        metrics |= {f"{name}_share": marked / tokens for name, marked in self.marked.items()}
        for kind, count in self.tokens.items():
            if count:
                metrics[f"entropy_{kind}"] = self.entropy[kind] / count
                metrics[f"mean_log_prob_{kind}"] = self.log_prob[kind] / count
        return metrics
