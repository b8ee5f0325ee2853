"""`fedgdl bench`: ratios measured side by side on this machine."""

from typing import Annotated, Final

import typer

from experiments.commands.output import JsonOption, error_console, print_json

__all__ = ["bench"]

_NAMES: Final = {
    "spam": "a training step of the spam model, against NumPy written by hand",
    "start-up": "from the typed command to the first client's training, and what a worker costs",
}


def bench(
    name: Annotated[str | None, typer.Argument(help=f"What to measure: {', '.join(_NAMES)}.")] = None,
    *,
    repeats: Annotated[int | None, typer.Option(min=1, help="How often each side is measured.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the benchmarks and exit.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure on this machine: medians of runs taken in turn, with machine, threads and versions."""
    if list_all:
        if as_json:
            print_json({"benchmarks": _NAMES})
        else:
            for known, what in _NAMES.items():
                typer.echo(f"{known:10} {what}")
        return
    if name is None or name not in _NAMES:
        message = f"expected one of: {', '.join(_NAMES)}"
        raise typer.BadParameter(message, param_hint="NAME")
    from experiments.progress import work_bar

    with work_bar(error_console()):
        if name == "spam":
            _bench_spam(repeats or 300, as_json=as_json)
        else:
            _bench_start_up(repeats or 5, as_json=as_json)


def _bench_spam(repeats: int, *, as_json: bool) -> None:
    from experiments.benchmarks.spam_step import run

    report = run(repeats)
    if as_json:
        print_json(report.to_dict())
        return
    typer.echo(
        f"one training step: {report.batch_size} e-mails of {report.tokens_per_bag:.0f} words on average, "
        f"{report.vocabulary_size:,} weights; medians of {report.repeats}"
    )
    for timing in report.timings:
        typer.echo(
            f"  {timing.dtype}: fedgdl {timing.autograd_us:.0f} us, by hand {timing.by_hand_us:.0f} us, "
            f"ratio {timing.ratio:.2f}; peak memory {timing.autograd_peak_bytes / 1e6:.2f} MB, "
            f"by hand {timing.by_hand_peak_bytes / 1e6:.2f} MB"
        )
    _print_where(report.machine, report.versions)


def _bench_start_up(repeats: int, *, as_json: bool) -> None:
    from experiments.benchmarks.start_up import run

    report = run(repeats)
    if as_json:
        print_json(report.to_dict())
        return
    typer.echo(f"fedgdl run {report.experiment} on prepared data, medians of {report.repeats}:")
    typer.echo(f"  command typed to first client training, 2 workers: {report.start_up_seconds:.2f} s")
    typer.echo(f"  {report.num_rounds} rounds after that: {report.rounds_seconds:.2f} s")
    typer.echo(f"  memory that each further worker costs: {report.added_worker_mb:.1f} MB")
    typer.echo(
        f"  largest unshared memory of a worker, its part of the data file included: {report.worker_unshared_mb:.1f} MB"
    )
    typer.echo(f"  fedgdl --help: {report.help_seconds:.2f} s")
    _print_where(report.machine, report.versions)


def _print_where(machine: str, versions: dict[str, str]) -> None:
    typer.echo(f"{machine}; " + ", ".join(f"{name} {version}" for name, version in versions.items()))
