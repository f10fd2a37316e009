"""Model backends, a file each, and the one function that turns a name into a model.

Left out: policies, whose weights can be trained (:mod:`textgrad_rl.policies`).
"""

from textgrad_rl.models.function import FunctionModel
from textgrad_rl.models.litellm import LiteLLM
from textgrad_rl.models.names import load_model
from textgrad_rl.models.openai_compatible import OpenAICompatible
from textgrad_rl.models.transformers import TransformersModel
from textgrad_rl.models.vllm import VLLMModel

__all__ = ["FunctionModel", "LiteLLM", "OpenAICompatible", "TransformersModel", "VLLMModel", "load_model"]
