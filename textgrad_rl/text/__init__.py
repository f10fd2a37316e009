"""Optimizers of prompts: propose a new text from gradients, and a gate that lets only better ones in."""
