"""What a federation is compared with: central training, and each client alone.

Use `experiments.simulate_baselines`. Nothing is imported here: worker processes load this package, and need little.
"""
