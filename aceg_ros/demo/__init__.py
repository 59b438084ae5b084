"""The demo: a camera goes through a place twice; the mapper maps it, the localizer finds it."""
