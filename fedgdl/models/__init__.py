"""Models that recipes and federations share."""

from fedgdl.models.characters import CharacterModel
from fedgdl.models.digits import DigitsCnn, DigitsMlp
from fedgdl.models.sentiment import SentimentModel
from fedgdl.models.spam import SpamModel
from fedgdl.models.words import NextWordModel

__all__ = [
    "CharacterModel",
    "DigitsCnn",
    "DigitsMlp",
    "NextWordModel",
    "SentimentModel",
    "SpamModel",
]
