"""Measurements of single parts, one module each, for example `spam_step.run`: a training step of the spam model."""
