"""A policy whose answers come from vLLM: transformers trains the weights, vLLM gets them at every publish.

Between two publishes the engine answers with the published weights, whatever training does to its own. A policy with
an adapter pushes whole weights, the adapter merged into them.

Left out: an engine in another process or on other devices than the weights.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.policies.lora import merged_state
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl_graphs.types import Completion, Dialect, Request

if TYPE_CHECKING:
    from textgrad_rl.methods.losses import Loss
    from textgrad_rl.models.transformers import TransformersModel
    from textgrad_rl.models.vllm import VLLMModel
    from textgrad_rl.policies.policy import TransformersPolicy
    from textgrad_rl.policies.rows import Row


@final
class VLLMPolicy:
    """Trains like the policy it holds, and answers through a vLLM engine in this process.

    Args:
        trained: what trains; it belongs to this policy from now on.
        max_batch_rows: samples decoded side by side.
        engine_options: see :func:`~textgrad_rl.models.vllm.load_vllm`.

    Raises:
        ConfigError: for a model that vLLM cannot run, or where it runs another one in this process.
        MissingPackageError: without vLLM.
    """

    def __init__(
        self,
        trained: TransformersPolicy,
        *,
        max_batch_rows: int = 256,
        engine_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Start an engine for the shape of the model, and give it the weights."""
        self._trained = trained
        self._sampler = _sampler(trained, max_batch_rows, engine_options or {})
        self._push()

    @property
    def model(self) -> Any:
        """The transformers model that is trained."""
        return self._trained.model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._trained.tokenizer

    @property
    def name(self) -> str:
        """The model's name."""
        return self._trained.name

    @property
    def dialect(self) -> Dialect:
        """The model's dialect."""
        return self._trained.dialect

    @property
    def trainable(self) -> bool:
        """True."""
        return True

    @property
    def weight_version(self) -> int:
        """The version of the weights that answer."""
        return self._sampler.weight_version

    @property
    def deterministic(self) -> bool:
        """Whether answers are a function of the request and the weights alone."""
        return self._trained.deterministic

    async def complete(self, request: Request) -> Completion:
        """Answer one request with the weights that were published last."""
        return await self._sampler.complete(request)

    def log_probs(self, rows: Sequence[Row], **options: Any) -> list[list[float]]:
        """Return the trainer's log-probabilities, as :meth:`TransformersPolicy.log_probs`."""
        return self._trained.log_probs(rows, **options)

    def forward_backward(self, rows: Sequence[Row], loss: Loss, **options: Any) -> dict[str, float]:
        """Add a gradient, as :meth:`TransformersPolicy.forward_backward`, of the loss for another sampler."""
        return self._trained.forward_backward(rows, loss.for_other_sampler(), **options)

    def optimizer_step(self, config: Optimizer | None = None) -> dict[str, float]:
        """Move the weights that are trained, as :meth:`TransformersPolicy.optimizer_step`; those that answer stay."""
        return self._trained.optimizer_step(config)

    def publish(self) -> None:
        """Let the new weights answer, under the next version.

        Raises:
            ModelError: when vLLM does not take them; the earlier version number stays.
        """
        self._trained.publish()
        self._push()

    def snapshot(self) -> TransformersModel:
        """Return a frozen copy of the present weights, which transformers samples from."""
        return self._trained.snapshot()

    def fork(self, name: str) -> TransformersPolicy:
        """Return an independent policy that starts from the present weights; transformers samples it.

        A process holds one engine of vLLM.
        """
        return self._trained.fork(name)

    def save(self, folder: str | Path, **options: Any) -> None:
        """Write weights and the optimizer's state, as :meth:`TransformersPolicy.save`."""
        self._trained.save(folder, **options)

    def load(self, folder: str | Path) -> None:
        """Restore what :meth:`save` wrote, from this engine or the other, and let it answer.

        Raises:
            RecordsError: for a damaged folder or another architecture; nothing has changed then.
        """
        self._trained.load(folder)
        self._push()

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload to the Hugging Face hub, as :meth:`TransformersPolicy.push_to_hub`."""
        return self._trained.push_to_hub(repo_id, **options)

    def close(self) -> None:
        """End the engine, so that another one can start in this process; this policy answers no more."""
        self._sampler.close()

    def _push(self) -> None:
        """Give the engine the weights that are trained."""
        self._sampler.push(merged_state(self.model), self._trained.weight_version)

    def __repr__(self) -> str:
        return f"VLLMPolicy({self.name!r}, weight_version={self.weight_version})"


def _sampler(trained: TransformersPolicy, max_batch_rows: int, engine_options: Mapping[str, Any]) -> VLLMModel:
    """Return a model of the policy's shape with weights that mean nothing yet.

    The engine reads shape and tokenizer from a folder, so one way serves policies from a name and from a configuration.
    """
    from textgrad_rl.models.vllm import VLLMModel, start_engine

    config = copy.deepcopy(trained.model.config)
    config.architectures = [type(trained.model).__name__]
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        trained.model.generation_config.save_pretrained(folder)
        trained.tokenizer.save_pretrained(folder)
        engine = start_engine(
            folder,
            name=trained.name,
            dtype=str(trained.model.dtype).removeprefix("torch."),
            deterministic=trained.deterministic,
            max_batch_rows=max_batch_rows,
            engine_options={
                "gpu_memory_utilization": 0.5,  # the rest is for training
                **engine_options,
                "load_format": "dummy",
            },
        )
        return VLLMModel(engine, name=trained.name, dialect=trained.dialect, deterministic=trained.deterministic)
