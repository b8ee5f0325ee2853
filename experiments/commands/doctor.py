"""`fedgdl doctor`: says what this installation is made of, and what is wrong with it."""

from typing import Any

import typer

from experiments.commands.output import JsonOption, print_json

__all__ = ["doctor"]


def doctor(*, as_json: JsonOption = False) -> None:
    """Show versions, cores, BLAS, the data found and where the packages come from; exit 1 if something is wrong."""
    report = _examine()
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report["problems"]:
        raise typer.Exit(1)


def _examine() -> dict[str, Any]:
    import os
    import platform

    from experiments import environment
    from fedgdl.data import list_sources
    from fedgdl.data.locate import cache_folder
    from fedgdl.runtime import usable_cores

    return {
        "versions": environment.versions(),
        "dependencies": environment.dependency_versions(),
        "platform": platform.platform(),
        "cores": {"usable": usable_cores(), "all": os.cpu_count()},
        "blas": environment.blas_libraries(),
        "packages": environment.package_folders(),
        "data": list_sources(),
        "data_folders": {"FEDGDL_DATA": os.environ.get("FEDGDL_DATA"), "cache": str(cache_folder())},
        "problems": environment.problems(),
    }


def _print(report: dict[str, Any]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    typer.echo(f"{versions}\n{report['platform']}")
    typer.echo(f"cores: {report['cores']['usable']} usable of {report['cores']['all']}")
    for library in report["blas"]:
        typer.echo(
            f"BLAS: {library['internal_api']} {library['version']}, kernels {library['architecture']}, "
            f"{library['num_threads']} threads (one while clients train)"
        )
    typer.echo(
        "dependencies: " + ", ".join(f"{name} {found or '(missing)'}" for name, found in report["dependencies"].items())
    )
    typer.echo("packages:")
    for name, folder in report["packages"].items():
        typer.echo(f"  {name:12} {folder}")
    folders = report["data_folders"]
    typer.echo(f"data: FEDGDL_DATA is {folders['FEDGDL_DATA'] or 'not set'}, the cache is {folders['cache']}")
    for source in report["data"]:
        typer.echo(f"  {source['name']:15} {source['found'] or 'not here; ' + source['how_to_get']}")
    for problem in report["problems"]:
        typer.secho(f"problem: {problem}", fg="yellow")
    if not report["problems"]:
        typer.secho("all is well", fg="green")
