"""Whether a model's architecture is one that the sampler and the trainer compute rightly: asked once, at load."""

from __future__ import annotations

from typing import Any

from textgrad_rl_graphs.errors import ConfigError

_PROBE = (1, 2, 3, 4, 5, 6)


def check_support(model: Any) -> None:
    """Switch a model to the attention of sampler and trainer and compare its logits on a probe with the model's own.

    The probe finds what the sampler leaves out (soft caps, sinks, scaled logits), whatever it is called in
    a configuration; sliding windows, which a short probe cannot find, are read from the configuration.

    Args:
        model: a transformers causal language model.

    Raises:
        ConfigError: when they differ or the model cannot be run this way.
    """
    import torch

    from textgrad_rl.policies.decode import prefill, step
    from textgrad_rl.policies.log_probs import hidden_states
    from textgrad_rl.policies.prefix_tree import PrefixTree
    from textgrad_rl.policies.tree_attention import use_tree_attention

    name = type(model).__name__
    _check_layers(model.config.get_text_config(), name)
    device = model.device
    try:
        with torch.inference_mode():
            expected_V = model(input_ids=torch.tensor([_PROBE], device=device)).logits[0, -1].float()
            use_tree_attention(model)
            _, key_values = prefill(model, [_PROBE[:-2]], torch.zeros(1, dtype=torch.long, device=device))
            for place in (-2, -1):
                position_B = torch.tensor([len(_PROBE) + place], device=device)
                logits_BV = step(model, torch.tensor([_PROBE[place]], device=device), position_B, key_values)
            tree = PrefixTree.of([_PROBE, (*_PROBE[:3], _PROBE[0])])
            trained_V = model.get_output_embeddings()(hidden_states(model, tree)[tree.places[0][-1]])
    except Exception as error:
        raise ConfigError(f"{name} cannot be sampled from: {type(error).__name__}: {error}") from error
    tolerance = (1e-4 if model.dtype in (torch.float32, torch.float64) else 5e-2) * (1 + float(expected_V.abs().max()))
    for part, logits_V in (("sampler", logits_BV[0]), ("trainer", trained_V)):
        worst = float((logits_V.float() - expected_V).abs().max())
        if not worst <= tolerance:
            raise ConfigError(
                f"{name} is not supported: the {part}'s logits differ from the model's own by {worst:.2g}"
            )


def _check_layers(config: Any, name: str) -> None:
    """Refuse layers other than full attention."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if not getattr(config, "layer_types", None) and window and window < config.max_position_embeddings:
        kinds = {"sliding_attention"}
    if kinds != {"full_attention"}:
        raise ConfigError(f"{name} is not supported: it has layers of kind {', '.join(sorted(kinds))}")
