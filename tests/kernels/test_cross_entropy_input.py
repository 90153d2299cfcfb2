"""Cross-entropy's bad input: refused before the launch, or NaN where nobody looks."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from traincost_kernels import cross_entropy, cross_entropy_, losses
from traincost_kernels.errors import KernelInputError

Loss = Callable[..., Tensor]
each_op = pytest.mark.parametrize("op", [cross_entropy, cross_entropy_])


def inputs(device: str) -> dict[str, Tensor]:
    """3 rows of 5 classes."""
    logits = torch.linspace(-2, 2, 15, device=device).reshape(3, 5)
    return {"logits": logits, "target": torch.tensor([4, 0, 2], device=device)}


@each_op
@pytest.mark.parametrize("index", [-1, 5, -101, 2**40])
def test_an_index_that_is_no_class_is_refused(op: Loss, index: int, kernel_device: str) -> None:
    values = inputs(kernel_device)
    values["target"][1] = index
    with pytest.raises(
        KernelInputError, match=rf"target has the index {index}, expected from 0 to"
    ):
        op(**values)


@each_op
def test_an_unchecked_index_that_is_no_class_makes_its_loss_nan(
    op: Loss, kernel_device: str
) -> None:
    values = inputs(kernel_device)
    values["target"][1] = 2**40
    loss = op(**values, reduction="none", check_target=False)
    assert loss.isnan().tolist() == [False, True, False]


@each_op
def test_a_wrong_index_is_not_looked_for_while_a_graph_is_captured(
    op: Loss, kernel_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look would wait for the device, which ends the capture."""
    values = inputs(kernel_device)
    values["target"][1] = 5
    asked: list[Tensor] = []

    def capturing(target: Tensor) -> bool:
        asked.append(target)
        return True

    monkeypatch.setattr(losses, "is_capturing", capturing)
    assert op(**values, reduction="none").isnan().tolist() == [False, True, False]
    assert len(asked) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_op
def test_a_loss_that_checks_its_target_can_be_captured(op: Loss) -> None:
    values = inputs("cuda")
    expected = op(**{name: value.clone() for name, value in values.items()})
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = op(**values)
    graph.replay()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"logits": torch.ones(2, 3).int()}, "logits has dtype torch.int32, expected one of"),
        ({"logits": torch.ones(2, 0)}, r"logits has shape \(2, 0\), expected at least one class"),
        ({"logits": torch.tensor(1.0)}, r"logits has shape \(\), expected at least one dimension"),
        ({"target": torch.zeros(2)}, "target has dtype torch.float32, expected torch.int64"),
        ({"target": torch.zeros(3).long()}, r"target has shape \(3,\), expected \(2,\), the shape"),
        ({"target": torch.zeros(2, device="meta").long()}, "target is on meta, expected cpu"),
        ({"target": [0, 1]}, "target is list, expected a tensor"),
        ({"label_smoothing": 1.5}, r"label_smoothing is 1\.5, expected from 0\.0 to 1\.0"),
        ({"label_smoothing": math.nan}, "label_smoothing is nan, expected from"),
        ({"z_loss": -1.0}, r"z_loss is -1\.0, expected from 0\.0 to inf"),
        ({"reduction": "average"}, "reduction is 'average', expected one of 'mean', 'sum', 'none'"),
        ({"ignore_index": 1.0}, "ignore_index is float, expected an integer"),
        ({"ignore_index": 2**63}, r"ignore_index is 9223372036854775808, expected from -2\*\*63"),
        ({"check_target": "no"}, "check_target is 'no', expected True or False"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"logits": torch.ones(2, 3), "target": torch.zeros(2).long()}
    for op in (cross_entropy, cross_entropy_):
        with pytest.raises(KernelInputError, match=f"{op.__name__}: {message}"):
            op(**{**values, **wrong})


def test_strided_logits_are_refused_in_place() -> None:
    with pytest.raises(KernelInputError, match=r"logits has strides \(1, 2\), expected contiguous"):
        cross_entropy_(torch.ones(3, 2).t(), torch.zeros(2).long())
