"""Other code for the modules of a model, on the same parameters."""

from __future__ import annotations

from typing import Any

from torch import nn


def change(model: nn.Module, classes: dict[type[nn.Module], type[nn.Module]]) -> nn.Module:
    """Give each module of one of these classes the code of another that has the same parameters.

    Raises:
        ValueError: an LSTM has an option that the steps in time do not know.
    """
    for module in model.modules():
        if type(module) in classes:
            if isinstance(module, nn.LSTM):
                _require_plain(module)
            found: Any = module
            found.__class__ = classes[type(module)]
    return model


def _require_plain(lstm: nn.LSTM) -> None:
    for name, value, expected in (
        ("batch_first", lstm.batch_first, True),
        ("bidirectional", lstm.bidirectional, False),
        ("dropout", lstm.dropout, 0),
        ("bias", lstm.bias, True),
        ("proj_size", lstm.proj_size, 0),
    ):
        if value != expected:
            raise ValueError(f"LSTM: {name} is {value}, expected {expected} to run step by step")
