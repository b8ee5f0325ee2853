import inspect
import re

from fedgdl import errors
from fedgdl.errors import ClientError, FedgdlError

Tree = dict[str, list[str]]
"""Each error's name and, in the order in which they are drawn or defined, its direct children."""


def drawn_tree() -> Tree:
    """Returns the tree that the module's docstring draws, in which each level is indented by four characters."""
    tree: Tree = {}
    path: list[str] = []
    drawing, _, _ = (errors.__doc__ or "").partition("Example:")
    for line in drawing.splitlines():
        drawn = re.fullmatch(r"    ((?:[│ ] {3})*)([├└]── )?([A-Z]\w+)(?: {2,}\S.*)?", line)
        if drawn is None:
            continue
        depth = len(drawn[1]) // 4 + bool(drawn[2])
        path[depth:] = [drawn[3]]
        tree[drawn[3]] = []
        if depth:
            tree[path[depth - 1]].append(drawn[3])
    return tree


def real_tree() -> Tree:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    return {parent.__name__: [child.__name__ for child in classes if parent in child.__bases__] for parent in classes}


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    assert drawn_tree() == real_tree()
    assert len(drawn_tree()) > 5


def test_every_error_is_public_documented_and_has_one_parent() -> None:
    assert sorted(errors.__all__) == sorted(real_tree()) == list(errors.__all__)
    for name in errors.__all__:
        error = getattr(errors, name)
        assert error.__doc__
        assert len(error.__bases__) == 1
        assert issubclass(error, FedgdlError)


def test_a_client_error_keeps_client_and_reason() -> None:
    error = ClientError("bob", "no examples")
    assert (error.client_id, error.reason) == ("bob", "no examples")
    assert str(error) == "client 'bob': no examples"
