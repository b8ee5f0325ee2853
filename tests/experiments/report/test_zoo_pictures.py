"""Pictures of recipes: each kind is drawn and kept, and what does not fit together is refused."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.report.zoo_pictures import draw, save_pictures
from fedgdl.zoo.pictures import Curves, Images, Line, Mark, Network, Points, Text

rng = np.random.default_rng(1)
CURVES = Curves("errors", "epoch", "error", [Line("a", (1, 2, 3), (0.5, 0.2, 0.1)), Line("b", (1,), (0.3,))])
IMAGES = Images("weights", rng.normal(size=(10, 28, 28)), [str(digit) for digit in range(10)])
POINTS = Points("words", rng.normal(size=(3, 2)), ["good", "bad", "5$ and 6$"], np.array([1.0, -1.0, 0.0]), "polarity")
NETWORK = Network(
    "net",
    (("x", "y"), ("a", "b", "c"), ("out",)),
    (rng.normal(size=(2, 3)), rng.normal(size=(3, 1))),
    ((1, 0), (0, 1, 2), (3,)),
)


def texts_of(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_curves_have_a_line_for_each_and_their_marks() -> None:
    figure = draw(Curves("t", "x", "y", CURVES.lines, [Mark("stop here", 2, 0.2)], is_log=True))
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines[:2]] == ["a", "b"]
    assert axes.get_yscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert texts_of(figure) == {"stop here"}


def test_images_are_in_a_grid_with_zero_in_the_middle_of_the_colours() -> None:
    shown = [axes for axes in draw(IMAGES).axes if axes.images]
    assert [axes.get_title() for axes in shown] == list("0123456789")
    low, high = shown[0].images[0].get_clim()
    assert low == -high < 0
    unsigned = [axes for axes in draw(Images("t", np.ones((2, 3, 3)), is_signed=False)).axes if axes.images]
    assert unsigned[0].images[0].get_clim() == (0, 1)


def test_images_of_zeros_have_a_range_of_colours() -> None:
    assert draw(Images("t", np.zeros((1, 2, 2)))).axes[0].images[0].get_clim() == (-1, 1)


def test_points_are_named_and_coloured() -> None:
    figure = draw(POINTS)
    assert texts_of(figure) == {"good", "bad", r"5\$ and 6\$"}
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), POINTS.values)


def test_a_network_has_a_line_for_each_weight_and_says_what_units_hold() -> None:
    figure = draw(NETWORK)
    assert len(figure.axes[0].lines) == 2 * 3 + 3 * 1
    assert {"x\n1", "c\n2", "out\n3"} <= texts_of(figure)
    without = draw(Network("net", NETWORK.layers, NETWORK.weights))
    assert {"x", "c", "out"} <= texts_of(without)


def test_all_kinds_are_kept(tmp_path: Path) -> None:
    pictures = {"curves": CURVES, "images": IMAGES, "points": POINTS, "net": NETWORK, "sample": Text("t", "To be")}
    files = save_pictures(pictures, tmp_path, "ch14-x", is_synthetic=True)
    assert files == ["curves.png", "images.png", "points.png", "net.png", "sample.txt"]
    assert (tmp_path / "sample.txt").read_text() == "t\nch14-x, synthetic data\n\nTo be\n"
    for name in files[:4]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "picture",
    [
        Images("t", np.zeros((3, 3))),
        Images("t", np.zeros((0, 3, 3))),
        Images("t", np.zeros((2, 3, 3)), ["only one"]),
        Points("t", np.zeros((2, 3)), ["a", "b"], np.zeros(2), "v"),
        Points("t", np.zeros((2, 2)), ["a"], np.zeros(2), "v"),
        Network("t", NETWORK.layers, NETWORK.weights[:1]),
        Network("t", NETWORK.layers, (NETWORK.weights[0].T, NETWORK.weights[1])),
        Network("t", NETWORK.layers, NETWORK.weights, ((1, 0), (0, 1), (3,))),
    ],
    ids=lambda picture: type(picture).__name__,
)
def test_what_does_not_fit_together_is_refused(picture: Images | Points | Network) -> None:
    with pytest.raises(ValueError, match="t: "):
        draw(picture)


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden"])
def test_a_name_that_is_no_file_s_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no plain file name"):
        save_pictures({name: Text("t", "x")}, tmp_path, "ch14-x")
    assert list(tmp_path.iterdir()) == []
