"""The pictures of an audit, as PNG.

Imported only where a page is written, since matplotlib takes most of a second to load.
"""

import io
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from experiments.audit.tallies import Correlation

__all__ = ["draw_bytes", "draw_correlations", "draw_stages"]

_MAX_DOTS: Final = 5_000
"""Of more correlations than this, evenly spaced ones are drawn."""

_BAND: Final = 5.0
"""Standard deviations: unrelated vectors lie outside once in about two million."""


def draw_bytes(counts: npt.NDArray[np.int64], labels: Sequence[str]) -> bytes:
    """Returns how often each value of a byte came, relative to what uniform bytes give, for each byte of a word.

    Args:
        counts: (bytes of a word, 256).
        labels: what each row of it is.
    """
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    for label, row in zip(labels, counts, strict=True):
        share = row / max(1.0, row.sum() / len(row))
        axes.plot(
            np.arange(len(row)),
            share,
            linewidth=0.8,
            label=label,
            drawstyle="steps-mid",
        )
    axes.axhline(1, color="black", linewidth=0.6)
    axes.set(xlabel="value of the byte", ylabel="frequency\n(1: uniform)", xlim=(0, 255))
    axes.set_ylim(0, max(2.0, 1.1 * axes.dataLim.y1) if np.isfinite(axes.dataLim.y1) else 2.0)
    axes.legend(fontsize="small", ncols=len(counts), loc="upper right")
    return _png(figure)


def draw_correlations(correlations: Sequence[Correlation]) -> bytes:
    """Returns the correlation of each received vector with the update beneath it, and where unrelated ones lie.

    Args:
        correlations: at least one, of vectors with the same number of elements.
    """
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    where = np.linspace(0, len(correlations) - 1, min(len(correlations), _MAX_DOTS)).astype(int)
    values = [correlations[index].value for index in where]
    limit = _BAND / math.sqrt(min(entry.num_elements for entry in correlations) - 1)
    axes.axhspan(-limit, limit, color="tab:green", alpha=0.2, label=f"unrelated: within {_BAND:g} deviations")
    axes.plot(where, values, ".", markersize=4, color="tab:blue", label="received vectors")
    axes.axhline(0, color="black", linewidth=0.6)
    most = max(1.6 * limit, 1.1 * max(map(abs, values), default=0.0))
    axes.set(xlabel="received vectors, by round and client", ylabel="correlation", ylim=(-most, most))
    axes.legend(fontsize="small", ncols=2, loc="upper right")
    return _png(figure)


def draw_stages(rounds: Sequence[dict[str, Any]]) -> bytes:
    """Returns bytes and seconds of each stage, the means over the rounds of an audit's document."""
    names = list(dict.fromkeys(stage["name"] for entry in rounds for stage in entry["stages"]))
    figure = Figure(figsize=(8, 0.8 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for place, (key, scale, label) in zip(
        axes, (("bytes_up", 1e3, "kB to the coordinator"), ("seconds", 1.0, "seconds")), strict=True
    ):
        totals = [
            sum(stage[key] for entry in rounds for stage in entry["stages"] if stage["name"] == name) for name in names
        ]
        place.barh(names, [total / scale / max(1, len(rounds)) for total in totals], color="tab:blue")
        place.set(xlabel=f"{label}, a round")
    axes[0].invert_yaxis()
    return _png(figure)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()
