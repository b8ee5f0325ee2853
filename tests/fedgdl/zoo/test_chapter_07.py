"""Chapter 7: shapes, and a forward pass that can be followed by hand."""

import pytest
from zoo_recipes import measured_by, run_named

from fedgdl.zoo.pictures import Network, Text
from fedgdl.zoo.registry import recipes_of


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes_of(7)])
def test_nothing_is_missed(name: str) -> None:
    run_named(name)


def test_shapes_are_a_chain_of_products() -> None:
    _, outcome = run_named("ch07-shapes")
    chain, summary = outcome.pictures["chain"], outcome.pictures["summary"]
    assert isinstance(chain, Text)
    assert chain.text == "row 1x3 . W01 3x4 -> 1x4 -> ReLU -> 1x4 . W12 4x1 -> 1x1"
    assert isinstance(summary, Text)
    assert "16 parameters" in summary.text


def test_the_printed_forward_pass_is_that_of_chapter_6() -> None:
    _, outcome = run_named("ch07-forward-pass")
    assert outcome.measured["outputs afterwards"] == measured_by("ch06-deep-network")["outputs afterwards"]
    printed = outcome.pictures["forward-pass"]
    assert isinstance(printed, Text)
    outputs = [float(line.split()[1]) for line in printed.text.splitlines() if line.startswith("output")]
    assert outputs == pytest.approx([1.0, 0.9985532569, 0.0026314414, 0.0], abs=5e-5)
    assert printed.text.count("it was walk") == 2


def test_the_network_is_drawn_before_and_after() -> None:
    _, outcome = run_named("ch07-forward-pass")
    before, after = outcome.pictures["untrained"], outcome.pictures["trained"]
    assert isinstance(before, Network)
    assert isinstance(after, Network)
    assert (before.weights[0] != after.weights[0]).any()
    for picture in (before, after):
        # What the output holds is the weighted sum of what the hidden units hold.
        assert picture.values[2][0] == pytest.approx(float(picture.values[1] @ picture.weights[1][:, 0]), rel=1e-12)
