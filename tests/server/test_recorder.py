import numpy as np
import pytest

from fedgdl.federated import CohortSums
from server.recorder import RecordedPayload, Recorder

SUMS = CohortSums({"weight": np.array([2.0])}, num_clients=1)


@pytest.mark.parametrize("keep", [False, True])
def test_bytes_are_counted_and_all_else_is_kept_if_asked_for(keep: bool) -> None:
    recorder, vector = Recorder(keep=keep), np.array([1.0, 2.0])
    recorder.parameters_published(1, vector)
    recorder.task_sent(1, "masked input", ("ann", "ben", "cat"), num_bytes=100, parameter_bytes=16)
    recorder.task_sent(1, "unmask", ("ann", "ben"), num_bytes=10, parameter_bytes=0)
    recorder.frame_arrived(1, bytes(50))
    recorder.frame_arrived(2, bytes(7))
    recorder.payload_arrived(1, "masked input", "ann", b"abc")
    recorder.sum_opened(1, SUMS)
    assert (recorder.bytes_up, recorder.bytes_down) == (57, 100 + 3 * 16 + 10)
    assert recorder.payloads == ([RecordedPayload(1, "masked input", "ann", b"abc")] if keep else [])
    assert list(recorder.parameters) == ([1] if keep else [])
    assert recorder.sums == ({1: SUMS} if keep else {})


def test_what_is_kept_does_not_change_with_the_model() -> None:
    recorder, vector = Recorder(keep=True), np.array([1.0, 2.0])
    recorder.parameters_published(1, vector)
    vector[:] = 0
    assert recorder.parameters[1].tolist() == [1.0, 2.0]
