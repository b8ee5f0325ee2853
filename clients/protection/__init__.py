"""What a client does to its update before it leaves the worker."""

from clients.protection.plain import PlainProtection
from clients.protection.protection import OnEncoded, Protection, make_protection

__all__ = ["OnEncoded", "PlainProtection", "Protection", "make_protection"]
