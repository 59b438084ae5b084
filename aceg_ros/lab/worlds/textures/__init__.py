"""Procedurally made textures and the atlas that holds a world's set of them."""
