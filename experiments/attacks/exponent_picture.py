"""The picture of what plain exponents tell of an encrypted update, beside the same update on one scale, as PNG.

Imported only where a picture is wanted, since matplotlib takes most of a second to load.
"""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from experiments.attacks.exponents import ExponentFinding

__all__ = ["draw_exponents"]


def draw_exponents(floats: ExponentFinding, on_one_scale: ExponentFinding, *, is_synthetic: bool) -> bytes:
    """Returns how many weights have which exponent, those that moved and those that did not, of both encodings.

    Args:
        floats: encrypted as in the book.
        on_one_scale: the same update, on one scale.
        is_synthetic: whether the title is to say that the data was generated.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    note = ", generated e-mails" if is_synthetic else ""
    figure.suptitle(f"Every number is encrypted: what {floats.whose}'s update sends in clear beside them{note}")
    _draw(left, floats, "floats, as in the book")
    _draw(right, on_one_scale, "one scale for all")
    left.set_ylabel("weights")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _draw(axes: Axes, finding: ExponentFinding, title: str) -> None:
    exponents = np.arange(min({*finding.moved, *finding.unmoved}), max({*finding.moved, *finding.unmoved}) + 1)
    moved = np.array([finding.moved.get(exponent, 0) for exponent in exponents.tolist()])
    unmoved = np.array([finding.unmoved.get(exponent, 0) for exponent in exponents.tolist()])
    axes.bar(exponents, unmoved, color="lightgrey", label="did not move")
    axes.bar(exponents, moved, bottom=unmoved, color="tab:red", label="moved")
    axes.set(
        title=f"{title}\n{finding.num_read:,} words named, {finding.hits:,} of {finding.num_moved:,} that moved",
        xlabel="exponent to base 16, in clear",
        xlim=(min(int(exponents[0]), -27) - 1, max(int(exponents[-1]), -10) + 1),
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small")
