"""Every exception this project raises on purpose, as one tree.

A message says what was expected, what came, and what to do about it. Programs catch
`FedgdlError` to tell a mistake in the input from a defect in the code.

    FedgdlError
    ├── ConfigError          a key, value or combination in an experiment's configuration
    ├── DataError            a data set that cannot be used
    │   ├── DataMissing      it is not on this machine
    │   └── DataCorrupt      it is here but damaged, or not what its name says
    ├── ParameterError       a vector or layout that does not fit the model
    ├── GraphError           misuse of the autograd tape: shapes, dtypes, a graph used twice
    ├── WireError            bytes that are no valid message
    ├── CryptoError          a key, share, ciphertext or encoded value that cannot be used
    ├── ProtocolError        a participant of a secure aggregation broke the protocol
    ├── AggregationError     a round whose payloads give no sum
    ├── ClientError          one client could not take part in one round
    ├── EngineError          the workers cannot be started or kept alive
    ├── TaskError            a task's own code raised
    └── RunFailed            a run that could not reach its end

Example:
    >>> issubclass(DataMissing, FedgdlError)
    True
"""

__all__ = [
    "AggregationError",
    "ClientError",
    "ConfigError",
    "CryptoError",
    "DataCorrupt",
    "DataError",
    "DataMissing",
    "EngineError",
    "FedgdlError",
    "GraphError",
    "ParameterError",
    "ProtocolError",
    "RunFailed",
    "TaskError",
    "WireError",
]


class FedgdlError(Exception):
    """The root of the tree: something a person can put right."""


class ConfigError(FedgdlError):
    """A configuration names an unknown key, or a value that its key does not allow."""


class DataError(FedgdlError):
    """A data set cannot be used."""


class DataMissing(DataError):
    """A data set is not on this machine; the message says how to get it."""


class DataCorrupt(DataError):
    """A file is damaged, cut short, or not the data set its name promises."""


class ParameterError(FedgdlError):
    """A vector, name or layout does not fit the parameters it was given for."""


class GraphError(FedgdlError):
    """An operation got shapes or types it cannot use, or a graph was run backward twice."""


class WireError(FedgdlError):
    """Bytes that came over a channel are no valid, bounded message."""


class CryptoError(FedgdlError):
    """A key, share, ciphertext or encoded value cannot be used; no detail is told that would help a forger."""


class ProtocolError(FedgdlError):
    """A participant of a secure aggregation broke the protocol; the message says who and how, and holds no secret."""


class AggregationError(FedgdlError):
    """The payloads of a round give no sum: too few came, or what they add up to cannot be."""


class ClientError(FedgdlError):
    """One client could not take part in one round.

    Args:
        client_id: whose update is missing.
        reason: why, in words fit for a report.
        public_reason: the same without anything that tells of the client's data; in protected runs the coordinator
            hears no more than this.
    """

    def __init__(self, client_id: str, reason: str, public_reason: str = "it has no usable update") -> None:
        super().__init__(f"client {client_id!r}: {reason}")
        self.client_id = client_id
        self.reason = reason
        self.public_reason = public_reason

    def __reduce__(self) -> tuple[type["ClientError"], tuple[str, str, str]]:
        """Pickles the error by its arguments."""
        return type(self), (self.client_id, self.reason, self.public_reason)


class EngineError(FedgdlError):
    """Worker processes cannot be started, or die as fast as they are replaced."""


class TaskError(FedgdlError):
    """The code of a task, a user's own most likely, raised; a note of the error is the traceback from there on."""


class RunFailed(FedgdlError):
    """A run ended before its last round for a reason other than the user's wish."""
