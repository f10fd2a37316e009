"""The loop: forward, critique, backward, refine, step, commit."""
