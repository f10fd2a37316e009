"""Methods that train weights: advantages, losses, and the published methods composed of them."""
