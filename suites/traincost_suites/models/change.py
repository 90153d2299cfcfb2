"""Other code for the modules of a model, on the same parameters."""

from __future__ import annotations

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
