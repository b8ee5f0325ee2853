"""Draws the pictures that recipes of the zoo ask for, and keeps them: images as PNG, texts as they are.

Imported only where a picture is wanted, since matplotlib takes most of a second to load.
"""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.report.curves import Curves as Figure  # a figure that notebooks show
from fedgdl.zoo.pictures import Curves, Images, Network, Picture, Points, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "save_pictures"]

_DPI: Final = 110
_SIGNED_COLOURS: Final = "RdBu"
_COLOURED: Final = 99.5
"""Of each grid of images so many per cent of the pixels lie within the range of the colours."""

_LARGE_GRID: Final = 10
"""In a grid with more columns than this, images are drawn smaller."""

_MAX_LABELLED_WEIGHTS: Final = 24
"""With more weights than this between two layers, the numbers would cover one another."""


def save_pictures(
    pictures: Mapping[str, Picture], folder: Path, recipe: str, *, is_synthetic: bool = False
) -> list[str]:
    """Writes each picture, its title and recipe above it, to a file of its name and returns the files' names.

    Args:
        pictures: by name.
        folder: is there already.
        recipe: the name of the recipe that they are of.
        is_synthetic: whether titles are to say that the data was generated.

    Raises:
        ValueError: a picture's parts do not fit together, or its name is no plain file name.
        OSError: a file cannot be written.
    """
    files = []
    for name, picture in pictures.items():
        if Path(name).name != name or name.startswith("."):
            message = f"the picture's name {name!r} is no plain file name"
            raise ValueError(message)
        title = f"{picture.title}\n{recipe}{', synthetic data' if is_synthetic else ''}"
        if isinstance(picture, Text):
            (folder / f"{name}.txt").write_text(f"{title}\n\n{picture.text}\n", "utf-8")
            files.append(f"{name}.txt")
        else:
            figure = draw(picture)
            figure.suptitle(title)
            figure.savefig(folder / f"{name}.png", dpi=_DPI)
            files.append(f"{name}.png")
    return files


def draw(picture: Curves | Images | Points | Network) -> Figure:
    """Returns a matplotlib figure of a picture.

    Raises:
        ValueError: its parts do not fit together.
    """
    if isinstance(picture, Curves):
        figure = _draw_curves(picture)
    elif isinstance(picture, Images):
        figure = _draw_images(picture)
    elif isinstance(picture, Points):
        figure = _draw_points(picture)
    else:
        figure = _draw_network(picture)
    figure.suptitle(picture.title)
    return figure


def _draw_curves(picture: Curves) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for line in picture.lines:
        axes.plot(line.x, line.y, label=line.name, marker="." if len(line.x) <= 20 else "")
    left, right = axes.get_xlim()
    for mark in picture.marks:
        axes.plot([mark.x], [mark.y], marker="o", color="black", fillstyle="none", linestyle="")
        side = 1 if mark.x < (left + right) / 2 else -1  # towards the middle: words do not leave the axes
        axes.annotate(
            mark.name,
            (mark.x, mark.y),
            xytext=(6 * side, 6),
            textcoords="offset points",
            fontsize="small",
            ha="left" if side > 0 else "right",
        )
    _scale_axes(axes, picture)
    axes.set(xlabel=picture.x_label, ylabel=picture.y_label)
    axes.grid(alpha=0.3)
    if len(picture.lines) > 1:
        axes.legend(fontsize="small")
    return figure


def _scale_axes(axes: "Axes", picture: Curves) -> None:
    """Sets the scales: no epoch is numbered 2.5, and within a decade numbers are written out."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter  # as slow to load as all of matplotlib

    if all(float(x).is_integer() for line in picture.lines for x in line.x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if picture.is_log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        if high < 10 * low:
            for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                set_formatter(ScalarFormatter(useOffset=False))


def _draw_images(picture: Images) -> Figure:
    images = np.asarray(picture.images, float)
    if images.ndim != 3 or not len(images) or (picture.captions and len(picture.captions) != len(images)):
        message = (
            f"{picture.title}: expected images (n, height, width) and n captions or none, "
            f"got shape {images.shape} and {len(picture.captions)}"
        )
        raise ValueError(message)
    columns = _count_columns(len(images))
    rows = math.ceil(len(images) / columns)
    side = 1.3 if columns <= _LARGE_GRID else 0.75
    height = side + (0.2 if picture.captions else 0.0)
    figure = Figure(figsize=(side * columns + 1, height * rows + 0.7), layout="constrained")
    # Few pixels at the edge, hardly ever inked, may weigh most: they do not take the colours from the others.
    top = float(np.percentile(np.abs(images), _COLOURED)) or float(np.abs(images).max()) or 1.0
    limits = {"vmin": -top, "vmax": top} if picture.is_signed else {"vmin": 0.0, "vmax": top}
    cells = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    shown = None
    for index, axes in enumerate(cells):
        axes.set_axis_off()
        if index < len(images):
            shown = axes.imshow(images[index], cmap=_SIGNED_COLOURS if picture.is_signed else "gray_r", **limits)
            axes.set_title(picture.captions[index] if picture.captions else "", fontsize="small")
    if shown is not None and picture.is_signed:
        figure.colorbar(shown, ax=cells, shrink=0.8, extend="both", fraction=0.03, pad=0.01, aspect=25)
    return figure


def _count_columns(num_images: int) -> int:
    """Returns how many columns a grid has: about 2.5 times its rows, and as few empty cells as can be."""
    usual = math.sqrt(2.5 * num_images)
    choices = range(math.ceil(math.sqrt(num_images)), min(num_images, math.ceil(1.3 * usual)) + 1)
    return min(choices, key=lambda columns: (-num_images % columns, abs(columns - usual)))


def _draw_points(picture: Points) -> Figure:
    points, values = np.asarray(picture.points, float), np.asarray(picture.values, float)
    if points.shape != (len(picture.names), 2) or values.shape != (len(points),):
        message = (
            f"{picture.title}: {len(picture.names)} names need as many points and values, "
            f"got shapes {points.shape} and {values.shape}"
        )
        raise ValueError(message)
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    top = float(np.abs(values).max(initial=0.0)) or 1.0
    dots = axes.scatter(points[:, 0], points[:, 1], c=values, cmap=_SIGNED_COLOURS, vmin=-top, vmax=top, s=24)
    for name, (x, y) in zip(picture.names, points.tolist(), strict=True):
        axes.annotate(_literal(name), (x, y), xytext=(3, 3), textcoords="offset points", fontsize="x-small")
    figure.colorbar(dots, ax=axes, label=picture.value_name, fraction=0.03, pad=0.01, aspect=30)
    axes.set(xticks=[], yticks=[])
    return figure


def _draw_network(picture: Network) -> Figure:
    _check_network(picture)
    tallest = max(map(len, picture.layers))
    figure = Figure(figsize=(2.8 * len(picture.layers), 1.1 * tallest + 1), layout="constrained")
    axes = figure.subplots()
    places = [
        [(x, (tallest - len(units)) / 2 + y) for y in range(len(units))] for x, units in enumerate(picture.layers)
    ]
    for x, weights in enumerate(picture.weights):
        _draw_weights(axes, places[x], places[x + 1], np.asarray(weights, float))
    for x, units in enumerate(picture.layers):
        for y, unit in enumerate(units):
            held = f"\n{picture.values[x][y]:.3g}" if picture.values else ""
            axes.text(
                *places[x][y],
                _literal(unit) + held,
                ha="center",
                va="center",
                fontsize="small",
                bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": "black"},
            )
    axes.set_xlim(-0.5, len(picture.layers) - 0.5)
    axes.set_ylim(tallest - 0.4, -0.6)  # the first unit on top
    axes.set_axis_off()
    figure.supxlabel("lines: weights, blue above zero, red below, the thicker the larger", fontsize="x-small")
    return figure


def _draw_weights(
    axes: "Axes", sources: list[tuple[int, float]], targets: list[tuple[int, float]], weights: np.ndarray[Any, Any]
) -> None:
    """Draws a line for each weight: blue above zero, red below, the thicker the larger."""
    top = float(np.abs(weights).max(initial=0.0)) or 1.0
    for source, (x0, y0) in enumerate(sources):
        for target, (x1, y1) in enumerate(targets):
            weight = float(weights[source, target])
            colour = "tab:blue" if weight >= 0 else "tab:red"
            axes.plot([x0, x1], [y0, y1], color=colour, linewidth=0.3 + 2.5 * abs(weight) / top, alpha=0.7, zorder=0)
            if weights.size <= _MAX_LABELLED_WEIGHTS:
                share = 0.28 + 0.2 * (source % 2)  # neighbours' numbers keep out of each other's way
                place = (x0 + share * (x1 - x0), y0 + share * (y1 - y0))
                axes.text(
                    *place,
                    f"{weight:.2f}",
                    color=colour,
                    fontsize="x-small",
                    ha="center",
                    va="center",
                    bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
                )


def _check_network(picture: Network) -> None:
    """Refuses weights or values that do not fit the layers.

    Raises:
        ValueError: says what was expected.
    """
    sizes = [len(units) for units in picture.layers]
    shapes = [np.shape(weights) for weights in picture.weights]
    expected = list(itertools.pairwise(sizes))
    held = [len(values) for values in picture.values]
    if shapes != expected or held not in ([], sizes):
        message = (
            f"{picture.title}: layers of {sizes} units need weights of shapes {expected} and as many values or none, "
            f"got {shapes} and {held}"
        )
        raise ValueError(message)


def _literal(name: str) -> str:
    """Returns a name that matplotlib does not take for a formula."""
    return name.replace("$", r"\$")
