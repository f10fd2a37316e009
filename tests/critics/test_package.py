"""The package as a whole: one namespace, and an import that stays light."""

import importlib
import subprocess
import sys

import textgrad_rl_critics


def test_one_namespace():
    module = importlib.import_module("textgrad_rl.critics")
    assert module.__all__ == textgrad_rl_critics.__all__ == sorted(textgrad_rl_critics.__all__)
    for name in module.__all__:
        assert getattr(module, name) is getattr(textgrad_rl_critics, name)


def test_import_is_light_and_knows_nothing_above():
    code = "import sys, textgrad_rl_critics; print(*sys.modules)"
    path = [entry for entry in sys.path if entry]
    environment = {"PYTHONPATH": ":".join(path), "PATH": ""}
    loaded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "transformers", "sentence_transformers", "reasoning_gym", "math_verify", "networkx"}
    assert (heavy | {"textgrad_rl", "textgrad_rl.critics"}) & set(loaded.stdout.split()) == set()
