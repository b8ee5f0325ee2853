"""Runs the recipes of `fedgdl.zoo` and keeps what they give.

Use `experiments.zoo.runs`. Nothing is imported here: worker processes load this package, and need little.
"""
