"""A recorder that keeps every frame whole, for tests of what is on the wire."""

from server.recorder import Recorder

__all__ = ["Frames"]


class Frames(Recorder):
    """Keeps every frame that reaches the coordinator, and all else that a recorder can keep."""

    def __init__(self) -> None:
        super().__init__(keep=True)
        self.frames: list[bytes] = []

    def frame_arrived(self, worker_id: int, frame: bytes) -> None:
        """Keeps it."""
        super().frame_arrived(worker_id, frame)
        self.frames.append(frame)
