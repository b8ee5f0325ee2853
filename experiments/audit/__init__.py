"""What the coordinator of a run saw: a record of every byte, checks of what it tells, and a page for people."""

from experiments.audit.audit import Audit
from experiments.audit.recorder import AuditRecorder, ReceivedEntry, entries, read_frame

__all__ = ["Audit", "AuditRecorder", "ReceivedEntry", "entries", "read_frame"]
