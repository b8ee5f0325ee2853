import numpy as np
import pytest

from server.recorder import RecordedPayload, Recorder


@pytest.mark.parametrize("keep", [False, True])
def test_bytes_are_counted_and_the_rest_is_kept_only_if_asked(keep: bool) -> None:
    recorder, vector = Recorder(keep=keep), np.array([1.0, 2.0])
    recorder.parameters_published(1, vector)
    recorder.task_sent(100, num_clients=3, parameter_bytes=16)
    recorder.frame_arrived(50)
    recorder.frame_arrived(7)
    recorder.payload_arrived(1, "ann", b"abc")
    assert (recorder.bytes_up, recorder.bytes_down) == (57, 100 + 3 * 16)
    assert recorder.payloads == ([RecordedPayload(1, "ann", b"abc")] if keep else [])
    assert list(recorder.parameters) == ([1] if keep else [])


def test_what_is_kept_does_not_change_with_the_model() -> None:
    recorder, vector = Recorder(keep=True), np.array([1.0, 2.0])
    recorder.parameters_published(1, vector)
    vector[:] = 0
    assert recorder.parameters[1].tolist() == [1.0, 2.0]
