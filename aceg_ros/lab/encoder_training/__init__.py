"""Training of the compact encoder: image pairs, losses, the loop."""
