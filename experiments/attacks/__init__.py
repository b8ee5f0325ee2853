"""Attacks: what a coordinator, or another onlooker, can read out of what it is sent."""
