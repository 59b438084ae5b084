"""Trains the model that weighs the evidence for a pose; `localization.verification` uses it."""
