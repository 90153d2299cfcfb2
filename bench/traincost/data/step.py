"""What a step is, as far as its code and what it has captured tell: part of the workload."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

_DEPTH = 3  # of functions that capture functions


def step_definition(step: Callable[..., object]) -> str:
    """The step's source without comments, docstrings and layout; its name if there is no source."""
    function = _function(step)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return name
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def captured_shapes(step: Callable[..., object]) -> list[str]:
    """Shape and dtype of the tensors that the step holds, sorted: the size of its data."""
    return sorted(f"{tuple(t.shape)} {t.dtype}" for t in _captured(step, _DEPTH))


def _function(step: Any) -> Any:
    function = inspect.unwrap(step)
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def _captured(value: Any, depth: int) -> Iterator[Any]:
    """Tensors among what a function closes over, a partial is given, a tuple or list holds."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        yield value
    elif depth > 0:
        for inner in _held_by(value):
            yield from _captured(inner, depth - 1)


def _held_by(value: Any) -> Iterator[Any]:
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, tuple | list):
        yield from value
    for cell in getattr(value, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            continue
    yield from getattr(value, "__defaults__", None) or ()
