"""The baseball team of chapters 3 and 5: what is known before each of its four games, and how the games went.

Example:
    >>> GAME
    (8.5, 0.65, 1.2)
"""

from typing import Final

__all__ = ["FANS", "GAME", "HURT", "NAMES", "OUTCOMES", "SAD", "TOES", "WEIGHTS", "WIN", "WINS"]

TOES: Final = (8.5, 9.5, 9.9, 9.0)
"""Toes for each player, on average."""

WINS: Final = (0.65, 0.8, 0.8, 0.9)
"""Games won so far, as a share."""

FANS: Final = (1.2, 1.3, 0.5, 1.0)
"""Fans, in millions."""

GAME: Final = (TOES[0], WINS[0], FANS[0])
"""The first game, from which all of chapters 3 and 5 is computed."""

HURT: Final = (0.1, 0.0, 0.0, 0.1)
"""The share of players hurt in each game."""

WIN: Final = (1.0, 1.0, 0.0, 1.0)
"""Whether the game was won."""

SAD: Final = (0.1, 0.0, 0.1, 0.2)
"""How sad the team was afterwards."""

NAMES: Final = ("toes", "win rate", "fans")
OUTCOMES: Final = ("hurt", "win", "sad")

WEIGHTS: Final = ((0.1, 0.1, -0.3), (0.1, 0.2, 0.0), (0.0, 1.3, 0.1))
"""From the three inputs to each of the three outcomes."""
