"""The federation beside its baselines: a table for the terminal, and a picture.

Example:
    >>> in_points(0.875, 0.9)
    '-2.50'
"""

from typing import TYPE_CHECKING, Final

from experiments.baselines.results import CentralBaseline, LocalBaseline

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.report.curves import Curves
    from experiments.run_history import RunHistory

__all__ = ["baseline_notes", "baseline_table", "draw_baselines", "in_points"]

_MAX_MARKED_ROUNDS: Final = 60
"""With more tested rounds than this, the lines have no dots."""


def in_points(accuracy: float | None, reference: float | None) -> str:
    """Returns by how many points, hundredths of all targets, an accuracy is above another; empty where one is none."""
    if accuracy is None or reference is None:
        return ""
    return f"{100 * (accuracy - reference):+.2f}"


def baseline_table(history: "RunHistory") -> "Table":
    """Returns a row for the federation and one for each baseline; accuracies and losses on the test set at the end."""
    from rich import box
    from rich.table import Table

    last = history.last_evaluated
    table = Table(box=box.SIMPLE_HEAD, caption="gap: points above federated; visits: examples seen")
    for heading in ("", "accuracy", "gap", "loss", "visits", "s"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    reference, loss = (None, None) if last is None else (last.accuracy, last.loss)
    seconds = sum(record.seconds for record in history.rounds)
    table.add_row("federated", _share(reference), "", _number(loss), f"{history.num_visits:,}", f"{seconds:.1f}")
    for kind, found in history.baselines.items():
        table.add_row(
            kind if found.status == "done" else f"{kind} ({found.status})",
            _share(found.accuracy),
            in_points(found.accuracy, reference),
            _number(found.loss),
            f"{found.num_visits:,}",
            f"{found.seconds:.1f}",
        )
    return table


def _share(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.2%}"


def _number(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.4f}"


def baseline_notes(history: "RunHistory") -> list[str]:
    """Returns what the table cannot say: how the clients that trained alone differ, and which gave no model."""
    notes = []
    for found in history.baselines.values():
        if isinstance(found, LocalBaseline) and (spread := found.spread()):
            shares = ", ".join(f"{name} {value:.2%}" for name, value in spread.items())
            done = sum(client.accuracy is not None for client in found.clients)
            notes.append("local, above: the mean of clients that trained alone, weighted by their examples")
            notes.append(f"local, client by client ({done} of {found.num_clients}): {shares}")
            without = [client for client in found.clients if client.accuracy is None]
            notes += [f"local: no model of {client.client_id}: {client.reason}" for client in without[:3]]
            notes += [f"... and of {len(without) - 3} more"] if len(without) > 3 else []
    return notes


def draw_baselines(history: "RunHistory") -> "Curves":
    """Returns a figure: test loss and accuracy by round, federated and central, and those of clients alone as lines."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    from experiments.report.curves import Curves

    figure = Curves(figsize=(9, 3.8), layout="constrained")
    evaluated = [record for record in history.rounds if record.accuracy is not None]
    marker = "o" if len(evaluated) <= _MAX_MARKED_ROUNDS else ""
    axes = dict(zip(("loss", "accuracy"), figure.subplots(1, 2), strict=True))
    for name, one in axes.items():
        one.plot(
            [record.round_index for record in evaluated],
            [getattr(record, name) for record in evaluated],
            color="black",
            marker=marker,
            label="federated",
        )
        for kind, found in history.baselines.items():
            if isinstance(found, CentralBaseline):
                rounds = [point.round_index for point in found.points]
                style = {"color": "tab:blue", "marker": marker, "label": kind}
                one.plot(rounds, [getattr(point, name) for point in found.points], **style)
            elif (mean := getattr(found, name)) is not None:
                one.axhline(mean, color="tab:orange", linestyle="--", label=f"{kind} (weighted mean)")
        one.set(xlabel="round, or as many visits", ylabel="test accuracy" if name == "accuracy" else "test loss")
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        one.grid(alpha=0.3)
    for found in history.baselines.values():
        if isinstance(found, LocalBaseline) and (spread := found.spread()):
            label = "local (worst to best client)"
            axes["accuracy"].axhspan(spread["min"], spread["max"], color="tab:orange", alpha=0.12, label=label)
    axes["loss"].set_ylim(0, None)
    axes["accuracy"].yaxis.set_major_formatter(PercentFormatter(1))
    axes["accuracy"].legend(fontsize="small")
    figure.suptitle(history.experiment.name + (" (synthetic data)" if history.is_synthetic else ""))
    return figure
