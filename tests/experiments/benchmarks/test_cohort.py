import numpy as np
import pytest

from experiments.benchmarks.cohort import check_bits, run
from fedgdl.errors import ConfigError, RunFailed


def test_each_model_is_measured_for_each_number_of_clients() -> None:
    report = run(repeats=2, cohort_sizes=(2, 10))
    assert [(row.what, row.num_weights, row.num_clients) for row in report.rows] == [
        (what, num_weights, num_clients)
        for what, num_weights in (
            ("logistic 60>10", 60 * 10 + 10),
            ("MLP 32>32>10", 32 * 32 + 32 + 32 * 10 + 10),
            ("logistic 784>10", 784 * 10 + 10),
            ("MLP 784>32>10", 784 * 32 + 32 + 32 * 10 + 10),
            ("MLP 784>100>10", 784 * 100 + 100 + 100 * 10 + 10),
        )
        for num_clients in (2, 10)
    ]
    assert [row.goal_gain for row in report.rows if row.num_clients == 10] == [4.9, 5.3, 2.2, 2.5, 1.7]
    for row in report.rows:
        assert row.repeats == 2
        assert row.gain == row.loop.median_us / row.stacked.median_us
        assert row.is_goal_met == (None if row.goal_gain is None else row.gain >= row.goal_gain)
    assert {"rows", "machine", "versions", "blas", "batch_size"} <= report.to_dict().keys()


def test_a_client_with_another_last_bit_stops_the_benchmark() -> None:
    weights = [np.ones(3, np.float32), np.ones(3, np.float32)]
    other = [array.copy() for array in weights]
    other[1][2] = np.nextafter(np.float32(1), np.float32(2))
    steps = (lambda _: [0.5, 0.25], lambda _: [0.5, 0.25])
    check_bits(steps, (weights, weights), 2)
    with pytest.raises(RunFailed, match="1 weights of client 1 have other bits in the stack, after 2 steps"):
        check_bits(steps, (weights, other), 2)
    with pytest.raises(RunFailed, match=r"client 0 has loss 0\.5 alone and 0\.25 in the stack, in step 1"):
        check_bits((steps[0], lambda _: [0.25, 0.25]), (weights, weights), 2)


def test_no_repeats_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 repeat, got 0"):
        run(repeats=0)
