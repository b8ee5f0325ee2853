"""The page of an audit: one HTML file with its pictures in it, that needs no network and can be printed.

Not here: what it says (`experiments.audit.document`) and how it looks (`audit.html`, a jinja2 template beside this
module).

Example:
    >>> _size(305_374), _duration(0.0125), _probability(1e-30)
    ('305.37 kB', '12.5 ms', 'below 1e-12')
"""

import base64
import importlib.resources
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["render_page"]

_FIRST_ROUNDS, _LAST_ROUNDS = 8, 2
_MAX_CLIENTS: Final = 12
"""Of a stage with more clients the page shows the extremes, of a run with more rounds the first and last ones."""


def render_page(document: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Returns the HTML of an audit's document.

    Args:
        document: from `experiments.audit.document`.
        pictures: name -> PNG, of `"bytes"`, `"correlations"` and `"stages"` those that there are.
    """
    import jinja2  # takes a while to load, and only this page needs it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"size": _size, "duration": _duration, "names": _names, "probability": _probability}
    source = importlib.resources.files("experiments.audit").joinpath("audit.html").read_text(encoding="utf-8")
    rounds = document["rounds"]
    num_hidden = max(0, len(rounds) - _FIRST_ROUNDS - _LAST_ROUNDS)
    shown = [*rounds[:_FIRST_ROUNDS], *rounds[_FIRST_ROUNDS + num_hidden :]]
    return environment.from_string(source).render(
        audit=document,
        rounds=[{**entry, "stages": [_with_table(stage) for stage in entry["stages"]]} for entry in shown],
        num_hidden_rounds=num_hidden,
        pictures={name: base64.b64encode(picture).decode() for name, picture in pictures.items()},
    )


def _with_table(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stage with the clients that the page shows: all, or the quickest, slowest, smallest and largest."""
    clients = stage["clients"]
    if len(clients) <= _MAX_CLIENTS:
        return {**stage, "shown": [{**client, "note": ""} for client in clients], "num_hidden": 0}
    notes: dict[str, list[str]] = {}
    by_name = {client["client_id"]: client for client in clients}
    for note, key, pick in (
        ("quickest", "seconds", min),
        ("slowest", "seconds", max),
        ("fewest bytes", "bytes", min),
        ("most bytes", "bytes", max),
    ):
        chosen = pick(clients, key=lambda client, key=key: client[key])  # type: ignore[misc]
        notes.setdefault(chosen["client_id"], []).append(note)
    shown = [{**by_name[name], "note": ", ".join(words)} for name, words in notes.items()]
    return {**stage, "shown": shown, "num_hidden": len(clients) - len(shown)}


def _size(num_bytes: float) -> str:
    """Returns a number of bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.2f} {unit}"
    return f"{num_bytes:,.0f} B"


def _duration(seconds: float) -> str:
    """Returns a time for people."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"


def _names(names: list[str]) -> str:
    """Returns some names, or as many of them as a reader wants to see."""
    more = f" ... and {len(names) - _MAX_CLIENTS:,} more" if len(names) > _MAX_CLIENTS else ""
    return ", ".join(names[:_MAX_CLIENTS]) + more


def _probability(value: float | None) -> str:
    """Returns a p-value for people."""
    if value is None:
        return ""
    return f"{value:.2g}" if value >= 1e-12 else "below 1e-12"
