"""What crosses the border between coordinator and worker: messages, their bytes, and channels."""

from fedgdl.wire.channel import Channel, ChannelClosed, MemoryChannel, PipeChannel
from fedgdl.wire.codec import FRAME_OVERHEAD_BYTES, Codec, decode_struct, encode, encode_struct
from fedgdl.wire.messages import (
    MAX_CLIENTS_PER_TASK,
    MAX_REASON_CHARACTERS,
    ClientFailed,
    ParametersReference,
    PlainUpdate,
    Shutdown,
    ToCoordinator,
    ToWorker,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerFailed,
    WorkerReady,
)

__all__ = [
    "FRAME_OVERHEAD_BYTES",
    "MAX_CLIENTS_PER_TASK",
    "MAX_REASON_CHARACTERS",
    "Channel",
    "ChannelClosed",
    "ClientFailed",
    "Codec",
    "MemoryChannel",
    "ParametersReference",
    "PipeChannel",
    "PlainUpdate",
    "Shutdown",
    "ToCoordinator",
    "ToWorker",
    "TrainResult",
    "TrainStarted",
    "TrainTask",
    "WorkerFailed",
    "WorkerReady",
    "decode_struct",
    "encode",
    "encode_struct",
]
