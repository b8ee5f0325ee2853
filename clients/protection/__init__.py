"""What a client does to its update before it leaves the worker."""

from clients.protection.plain import PlainProtection
from clients.protection.protection import Protection, WorksWhileIdle, make_protection

__all__ = ["PlainProtection", "Protection", "WorksWhileIdle", "make_protection"]
