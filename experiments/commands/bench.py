"""`fedgdl bench`: ratios measured side by side on this machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from experiments.commands.output import JsonOption, error_console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.benchmarks.paillier_report import EncryptedRun, KeyReport

__all__ = ["bench"]

_NAMES: Final = {
    "spam": "a training step of the spam model, against NumPy written by hand",
    "core": "training steps of fourteen small models, against NumPy by hand and PyTorch (if it is installed)",
    "cohort": "small models of many clients trained as one stack, against one after another",
    "secagg": "secure aggregation: masks, a client, the server, whole rounds; against NumPy and Flower (if installed)",
    "paillier": "encrypted aggregation: keys, encryption, sums, decryption beside phe; a run beside a plain one",
    "start-up": "from the typed command to the first client's training, and what a worker costs",
}


def bench(
    name: Annotated[str | None, typer.Argument(help=f"What to measure: {', '.join(_NAMES)}.")] = None,
    *,
    rows: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Of core: only these rows, e.g. mlp-b10,imdb-b1.")
    ] = None,
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
    if rows is not None and name != "core":
        message = "only the benchmark core has rows to choose from"
        raise typer.BadParameter(message, param_hint="--rows")
    from experiments.progress import work_bar

    with work_bar(error_console()):
        if name == "core":
            _bench_core([row.strip() for row in rows.split(",")] if rows else [], repeats, as_json=as_json)
            return
        measure = {
            "cohort": _bench_cohort,
            "secagg": _bench_secagg,
            "paillier": _bench_paillier,
            "spam": _bench_spam,
            "start-up": _bench_start_up,
        }[name]
        measure(repeats, as_json=as_json)


def _bench_core(rows: list[str], repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.core import run
    from experiments.benchmarks.tables import core_table

    report = run(rows, repeats)
    if as_json:
        print_json(report.to_dict())
        return
    _print_table(core_table(report))
    for row in report.rows:
        typer.echo(f"  {row.name}: {row.what}")
    missed = [row.name for row in report.rows if not row.is_by_hand_goal_met or row.is_torch_goal_met is False]
    verdict = f"missed by {', '.join(missed)}" if missed else "all met"
    typer.echo(f"goals: at most {report.goal_over_by_hand:g} times the step by hand, faster than PyTorch; {verdict}")
    if "torch" not in report.versions:
        typer.echo("PyTorch is not installed, so nothing is compared with it: pip install torch")
    _print_where(report.machine, report.versions, report.blas)


def _bench_cohort(repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.cohort import run
    from experiments.benchmarks.tables import cohort_table

    report = run(repeats)
    if as_json:
        print_json(report.to_dict())
        return
    _print_table(cohort_table(report))
    _print_where(report.machine, report.versions, report.blas)


def _bench_secagg(repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.secagg import run
    from experiments.benchmarks.tables import secagg_rounds_table, secagg_table

    report = run(repeats)
    if as_json:
        print_json(report.to_dict())
        return
    _print_table(secagg_table(report))
    for row in report.rows:
        parts = ", ".join(f"{name} {median_us / 1e3:.2f}" for name, median_us in row.parts.items())
        typer.echo(f"  {row.name}: {row.what}; {row.repeats} times{f' ({parts} ms)' if parts else ''}")
    _print_table(secagg_rounds_table(report))
    vector_aes = {True: "has", False: "has no", None: "may have"}[report.has_vaes]
    load = _load(report.load_average)
    typer.echo(f"the processor {vector_aes} vector instructions for AES (VAES); times are of one core{load}")
    if "flwr" not in report.versions:
        typer.echo(
            "nothing is compared with Flower, which is not installed or of another version: pip install flwr==1.41.0"
        )
    _print_where(report.machine, report.versions)


def _bench_paillier(repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.paillier import run
    from experiments.benchmarks.tables import paillier_table, shared_tables_table

    report = run(repeats)
    if as_json:
        print_json(report.to_dict())
        return
    for key in report.keys:
        _print_table(paillier_table(key, report.size))
        _print_table(shared_tables_table(key))
        _print_key(key)
    typer.echo("where fewer ciphertexts are named than a vector has, a sample was worked on; the rows are:")
    for row in report.keys[0].rows:
        typer.echo(f"  {row.name}: {row.what}; {row.repeats} times")
    if report.run is not None:
        _print_encrypted_run(report.run)
    typer.echo(
        "products are computed in vector lanes (AVX-512 IFMA)"
        if report.has_lanes
        else "products are computed with gmpy2 alone: no vector lanes here (AVX-512 IFMA, and pip install fedgdl[fast])"
    )
    room = f"slots have room for sums of {report.max_clients} clients' {report.bits} bits"
    typer.echo(f"{room}; CPU times are of one core{_load(report.load_average)}")
    _print_where(report.machine, report.versions)


def _print_key(key: "KeyReport") -> None:
    goal = "" if key.most_bytes is None else f" (<= {key.most_bytes:g} {_verdict(is_met=key.is_bytes_goal_met)})"
    typer.echo(
        f"  {key.bytes_per_weight:.2f} bytes a weight{goal}, {key.slots_per_plaintext} weights in a ciphertext; "
        f"a key is made in {key.key_seconds:.2f} s"
    )
    two = key.processes
    goal = "" if two.least is None else f" (>= {two.least:g} {_verdict(is_met=two.is_goal_met)})"
    typer.echo(
        f"  two processes encrypt a vector in {two.two_seconds:.2f} s, one in {two.one_seconds:.2f} s: "
        f"{two.gain:.2f} times as fast{goal}; peak memory of one {two.peak_bytes / 1e6:.0f} MB"
    )
    row = key.threshold
    a_weight = row.partial.median_us / row.slots_per_plaintext
    typer.echo(
        f"  {row.threshold} of {row.num_shares} shares: each decrypts its part of a ciphertext in "
        f"{row.partial.median_us / 1e3:.1f} ms ({a_weight:.0f} us a weight), put together in "
        f"{row.combine.median_us / 1e3:.2f} ms; dealt in {row.dealing_seconds:.1f} s this time "
        f"({row.num_ciphertexts} ciphertexts, {row.repeats} times)"
    )


def _print_encrypted_run(run: "EncryptedRun") -> None:
    from experiments.benchmarks.tables import encrypted_run_table

    _print_table(encrypted_run_table(run))
    peaks = ", ".join(f"{role} {peak / 1e6:.0f} MB" for role, peak in run.peak_bytes.items()) or "not known here"
    models = "the same model, bit for bit" if run.is_same_model else "DIFFERENT MODELS"
    typer.echo(
        f"  {run.bytes_per_update / 1e6:.2f} MB a client's update; both runs end with {models}; "
        f"peak memory of a process: {peaks}"
    )


def _bench_spam(repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.spam_step import run

    report = run(repeats or 300)
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


def _bench_start_up(repeats: int | None, *, as_json: bool) -> None:
    from experiments.benchmarks.start_up import run

    report = run(repeats or 5)
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


def _load(load_average: float | None) -> str:
    return "" if load_average is None else f"; load average {load_average:.1f}"


def _verdict(*, is_met: bool | None) -> str:
    return "met" if is_met else "missed"


def _print_table(table: "Table") -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width: nothing is cut
    console.print(table)


def _print_where(machine: str, versions: dict[str, str], blas: Sequence[dict[str, Any]] = ()) -> None:
    libraries = [
        f"{info['internal_api']} {info['version']} ({info['architecture']}, {info['num_threads']} thread"
        f"{'' if info['num_threads'] == 1 else 's'})"
        for info in blas
    ]
    typer.echo(f"{machine}; " + ", ".join([*(f"{name} {version}" for name, version in versions.items()), *libraries]))
