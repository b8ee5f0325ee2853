"""Models that recipes and federations share."""

from fedgdl.models.spam import SpamModel

__all__ = ["SpamModel"]
