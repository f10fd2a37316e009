"""The main job on the embedded model: train a prompt and weights jointly with self-critique, offline, on a CPU."""
