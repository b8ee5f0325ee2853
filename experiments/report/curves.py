"""The picture of a run: loss and accuracy by round.

Imported only where a picture is wanted, since matplotlib takes most of a second to load.
"""

import io
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

if TYPE_CHECKING:
    from experiments.run_history import RunHistory

__all__ = ["Curves", "draw_curves"]

_MAX_CLIENT_LINES: Final = 8
"""With more clients than this, only the test curves are drawn."""


_MAX_MARKED_ROUNDS: Final = 60
"""With more rounds than this, the lines have no dots."""


class Curves(Figure):
    """A matplotlib figure that a notebook shows, whatever backend is set there."""

    def _repr_png_(self) -> bytes:
        """Returns the picture as PNG, for IPython."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()


def draw_curves(history: "RunHistory") -> Curves:
    """Returns a figure: left the loss, right the accuracy, on the test set and in the clients' training.

    Says so in its title when the data was synthetic.
    """
    figure = Curves(figsize=(9, 3.8), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    evaluated = [record for record in history.rounds if record.accuracy is not None]
    rounds = [record.round_index for record in evaluated]
    is_short = len(history.rounds) <= _MAX_MARKED_ROUNDS
    test_style = {"marker": "o" if is_short else "", "color": "black", "label": "test"}
    loss_axes.plot(rounds, [record.loss for record in evaluated], **test_style)
    accuracy_axes.plot(rounds, [record.accuracy for record in evaluated], **test_style)
    if history.experiment.until_accuracy is not None:
        accuracy_axes.axhline(history.experiment.until_accuracy, color="gray", linestyle=":", label="target")
    for client_id in _clients_to_draw(history):
        points = [
            (record.round_index, client.train_loss, client.train_accuracy)
            for record in history.rounds
            for client in record.clients
            if client.client_id == client_id and client.status == "done"
        ]
        style = {"linewidth": 1, "marker": "." if is_short else "", "alpha": 0.7, "label": client_id}
        loss_axes.plot([point[0] for point in points], [point[1] for point in points], **style)
        accuracy_axes.plot([point[0] for point in points], [point[2] for point in points], **style)
    loss_axes.set(xlabel="round", ylabel="mean loss", ylim=(0, None))
    accuracy_axes.set(xlabel="round", ylabel="accuracy")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (loss_axes, accuracy_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    loss_axes.legend(fontsize="small")
    figure.suptitle(history.experiment.name + (" (synthetic data)" if history.is_synthetic else ""))
    return figure


def _clients_to_draw(history: "RunHistory") -> list[str]:
    ids = sorted({client.client_id for record in history.rounds for client in record.clients})
    return ids if len(ids) <= _MAX_CLIENT_LINES else []
