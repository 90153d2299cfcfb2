"""FLOPs of the suites' own training steps equal the closed form of their shapes, exactly."""

from collections.abc import Callable

import pytest
from closed_forms import (
    Conv,
    GptShape,
    convnet_step_flops,
    lstm_step_flops,
    mlp_forward_flops,
    mlp_step_flops,
)

from traincost.instruments.arithmetic import count
from traincost_suites.models import convnet, gpt, lstm, mlp
from traincost_suites.work import training_step

SEQ_LEN = 128


def mlp_flops(size: str, batch: int) -> int:
    c = mlp.SIZES[size]
    return mlp_step_flops(batch, (c.n_inputs, *[c.width] * c.depth, c.n_classes))


def convnet_flops(size: str, batch: int) -> int:
    """The main path as a chain, and each shortcut convolution beside it with both gradients."""
    c = convnet.SIZES[size]
    chain = [Conv(c.n_channels, c.width, 3, padding=1)]
    shortcuts = 0
    side, n_in = 8, c.width
    for stage in range(3):
        for i in range(c.n_blocks):
            n_out, stride = c.width * 2**stage, 2 if stage and i == 0 else 1
            chain += [Conv(n_in, n_out, 3, stride, 1), Conv(n_out, n_out, 3, padding=1)]
            if n_in != n_out:
                shortcuts += 3 * Conv(n_in, n_out, 1, stride).forward_flops(batch, side)
            side, n_in = side // stride, n_out
    return convnet_step_flops(batch, 8, chain, c.n_classes) + shortcuts


def gpt_flops(size: str, batch: int) -> int:
    c = gpt.SIZES[size]
    shape = GptShape(c.n_layers, c.width, c.n_heads, 4 * c.width, c.vocabulary)
    return shape.step_flops(batch, SEQ_LEN, fused_attention=True)


def lstm_flops(size: str, batch: int) -> int:
    c = lstm.SIZES[size]
    head = mlp_forward_flops(batch * SEQ_LEN, (c.width, c.vocabulary))
    return lstm_step_flops(SEQ_LEN, batch, c.width, c.width, c.n_layers) + 3 * head


CLOSED_FORMS = {"mlp": mlp_flops, "convnet": convnet_flops, "gpt": gpt_flops, "lstm": lstm_flops}


@pytest.mark.parametrize("size", ["10k", "100k", "1M"])
@pytest.mark.parametrize(("family", "closed_form"), CLOSED_FORMS.items())
def test_flops_of_a_step_equal_the_closed_form(
    family: str, closed_form: Callable[[str, int], int], size: str
) -> None:
    work = training_step(f"{family}-{size}", 2, "cpu", "fp32")
    counted = count(work.step, phase="step", model=work.model)
    assert counted.flops == closed_form(size, 2)
    assert not counted.notes
