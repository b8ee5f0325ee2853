"""Measurements of single parts; `spam_step.run` times one training step of the spam model."""
