"""`fedgdl keys`: makes Paillier keys for experiments that are to use the same one again, and shows what they are.

Example:
    >>> [command.name for command in app.registered_commands]
    ['new', 'show']
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.commands.output import JsonOption, print_json

if TYPE_CHECKING:
    from fedgdl.crypto.paillier import PaillierPublicKey

__all__ = ["app"]

app = typer.Typer(help="Make and inspect the keys of encrypted aggregation.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make and inspect the keys of encrypted aggregation."""


@app.command("new")
def make_key(
    path: Annotated[Path, typer.Argument(help="The new file; nothing that exists is overwritten.")],
    bits: Annotated[int, typer.Option(min=2048, max=8192, help="Bits of the modulus.")] = 3072,
    insecure_bits: Annotated[
        int | None,
        typer.Option(min=128, max=2046, help="Instead, a modulus so short that it can be factored; for teaching."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a private key and write it to a file that only you can read, for `aggregation.key_file`."""
    from fedgdl.crypto.paillier.private import generate, write_private_key
    from fedgdl.errors import ConfigError

    num_bits = bits if insecure_bits is None else insecure_bits
    if num_bits % 2:
        message = f"a key has an even number of bits, not {num_bits}"
        raise ConfigError(message)
    key = generate(num_bits)
    write_private_key(path, key)
    _print(path, key.public_key, as_json=as_json)


@app.command("show")
def show_key(
    path: Annotated[Path, typer.Argument(help="A file that `fedgdl keys new` wrote.")], *, as_json: JsonOption = False
) -> None:
    """Check a private key's file and show what of it is public."""
    from fedgdl.crypto.paillier.private import read_private_key

    _print(path, read_private_key(path).public_key, as_json=as_json)


def _print(path: Path, key: "PaillierPublicKey", *, as_json: bool) -> None:
    if as_json:
        print_json(_describe(path, key))
        return
    typer.echo(f"{path}: a private key of {key.num_bits:,} bits, scheme {key.scheme}\nkey id {key.key_id}")
    if key.num_bits < 2048:
        typer.secho("insecure: a modulus this short can be factored; for teaching only", fg="yellow")


def _describe(path: Path, key: "PaillierPublicKey") -> dict[str, Any]:
    return {
        "path": str(path),
        "key_id": key.key_id,
        "key_bits": key.num_bits,
        "scheme": key.scheme,
        "is_insecure": key.num_bits < 2048,
        "public_key": {"n": f"{key.n:x}", "hs": None if key.hs is None else f"{key.hs:x}"},
    }
