"""FLOPs of training steps: the closed form of the shapes, torch's counter on plain products."""

from collections.abc import Callable
from itertools import pairwise

import closed_forms
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils.flop_counter import FlopCounterMode

from traincost.instruments.arithmetic import FLOPS_CONVENTION, count

ROWS = 6
WIDTHS = (5, 8, 7, 3)
CONVS = (
    closed_forms.Conv(3, 8, kernel=3, padding=1),
    closed_forms.Conv(8, 12, kernel=3, stride=2, padding=2, groups=4),
    closed_forms.Conv(12, 6, kernel=2, stride=3),
)
IMAGE = 13
GPT = closed_forms.GptShape(layers=2, width=16, heads=4, mlp=64, vocab=29)
SEQ_LEN = 10


def training_step(model: nn.Module, x: Tensor, classes: int) -> Callable[[], Tensor]:
    """Cross-entropy over the last dimension of the model's output, then SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> Tensor:
        optimizer.zero_grad()
        logits = model(x).reshape(-1, classes)
        labels = torch.zeros(logits.shape[0], dtype=torch.long)
        loss = functional.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss

    return step


def flops_by_torch(step: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def mlp() -> nn.Module:
    layers = [
        layer for n_in, n_out in pairwise(WIDTHS) for layer in (nn.Linear(n_in, n_out), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1])


class MatmulConv(nn.Module):
    """A convolution as unfolded patches times the weight, group by group."""

    def __init__(self, shape: closed_forms.Conv) -> None:
        super().__init__()
        self.shape = shape
        patch = shape.c_in // shape.groups * shape.kernel**2
        self.weight = nn.Parameter(torch.randn(shape.groups, shape.c_out // shape.groups, patch))

    def forward(self, x: Tensor) -> Tensor:
        shape, batch = self.shape, x.shape[0]
        out = shape.out_size(x.shape[-1])
        patches = functional.unfold(x, shape.kernel, padding=shape.padding, stride=shape.stride)
        product = self.weight @ patches.view(batch, shape.groups, -1, out * out)
        return product.reshape(batch, shape.c_out, out, out)


def conv_layer(shape: closed_forms.Conv) -> nn.Module:
    size = (shape.c_in, shape.c_out, shape.kernel, shape.stride, shape.padding)
    return nn.Conv2d(*size, groups=shape.groups)


def convnet(as_matmul: bool = False) -> nn.Module:
    layers: list[nn.Module] = []
    for shape in CONVS:
        conv = MatmulConv(shape) if as_matmul else conv_layer(shape)
        layers += [conv, nn.BatchNorm2d(shape.c_out), nn.ReLU()]
    head = nn.Linear(CONVS[-1].c_out, 4)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


class CellByCellLstm(nn.Module):
    """`nn.LSTM` as two products and four gates a time step."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> Tensor:
        directions = 2 if self.lstm.bidirectional else 1
        for layer in range(self.lstm.num_layers):
            outputs: list[Tensor] = []
            for direction in range(directions):
                n = layer * directions + direction
                steps = x.flip(0) if direction else x
                y = self._run(steps, state[0][n], state[1][n], *self.lstm.all_weights[n])
                outputs.append(y.flip(0) if direction else y)
            x = torch.cat(outputs, dim=-1)
        return x

    @staticmethod
    def _run(
        x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> Tensor:
        hs: list[Tensor] = []
        for x_t in x:
            gates = functional.linear(x_t, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)
            i, f, g, o = gates.chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
        return torch.stack(hs)


class Block(nn.Module):
    """Pre-norm attention and MLP; `explicit` writes attention out as two products."""

    def __init__(self, explicit: bool) -> None:
        super().__init__()
        width = GPT.width
        self.explicit = explicit
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, GPT.mlp)
        self.down = nn.Linear(GPT.mlp, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, seq_len, width = x.shape
        q, k, v = (
            part.view(batch, seq_len, GPT.heads, -1).transpose(1, 2)
            for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1)
        )
        if self.explicit:
            scores = q @ k.mT / q.shape[-1] ** 0.5
            mask = torch.ones(seq_len, seq_len).tril() == 0
            y = scores.masked_fill(mask, float("-inf")).softmax(-1) @ v
        else:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, seq_len, width))
        out: Tensor = x + self.down(functional.gelu(self.up(self.norms[1](x))))
        return out


def gpt(explicit: bool = False) -> nn.Module:
    blocks = [Block(explicit) for _ in range(GPT.layers)]
    head = nn.Linear(GPT.width, GPT.vocab, bias=False)
    return nn.Sequential(nn.Embedding(GPT.vocab, GPT.width), *blocks, head)


def tokens() -> Tensor:
    return torch.arange(2 * SEQ_LEN).view(2, SEQ_LEN) % GPT.vocab


@pytest.mark.parametrize("input_grad", [False, True])
def test_flops_of_an_mlp_step_equal_the_closed_form(input_grad: bool) -> None:
    step = training_step(mlp(), torch.randn(ROWS, WIDTHS[0], requires_grad=input_grad), WIDTHS[-1])
    counted = count(step, phase="step")
    assert counted.flops == closed_forms.mlp_step_flops(ROWS, WIDTHS, input_grad=input_grad)
    assert counted.model_flops == 3 * closed_forms.mlp_forward_flops(ROWS, WIDTHS)
    assert counted.flops == flops_by_torch(step)
    assert counted.flops_convention == FLOPS_CONVENTION
    assert not counted.notes


def test_flops_of_a_convnet_step_equal_the_closed_form() -> None:
    x = torch.randn(5, 3, IMAGE, IMAGE)
    counted = count(training_step(convnet(), x, 4), phase="step")
    assert counted.flops == closed_forms.convnet_step_flops(5, IMAGE, CONVS, 4)
    assert counted.model_flops == 3 * closed_forms.convnet_forward_flops(5, IMAGE, CONVS, 4)


def test_a_convnet_as_unfolded_matrix_products_has_the_same_flops() -> None:
    step = training_step(convnet(as_matmul=True), torch.randn(5, 3, IMAGE, IMAGE), 4)
    assert flops_by_torch(step) == closed_forms.convnet_step_flops(5, IMAGE, CONVS, 4)


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (2, 2)])
def test_flops_of_an_lstm_step_equal_the_closed_form(layers: int, directions: int) -> None:
    lstm = nn.LSTM(4, 6, num_layers=layers, bidirectional=directions == 2)
    x = torch.randn(7, 3, 4, requires_grad=True)
    h = torch.zeros(layers * directions, 3, 6, requires_grad=True)
    c = torch.zeros(layers * directions, 3, 6, requires_grad=True)
    shape = (7, 3, 4, 6, layers, directions)
    cells = CellByCellLstm(lstm)

    def fused() -> None:
        lstm(x, (h, c))[0].sum().backward()

    def cell_by_cell() -> None:
        loss: Tensor = cells(x, (h, c)).sum()
        loss.backward()  # type: ignore[no-untyped-call]

    counted = count(fused, phase="step")
    assert counted.flops == closed_forms.lstm_step_flops(*shape)
    assert counted.model_flops == 3 * closed_forms.lstm_forward_flops(*shape)
    assert flops_by_torch(cell_by_cell) == closed_forms.lstm_step_flops(*shape)
    assert count(cell_by_cell, phase="step").model_flops == counted.model_flops


def test_flops_of_a_gpt_step_equal_the_closed_form() -> None:
    counted = count(training_step(gpt(), tokens(), GPT.vocab), phase="step")
    assert counted.flops == GPT.step_flops(2, SEQ_LEN, fused_attention=True)
    assert counted.model_flops == 3 * GPT.forward_flops(2, SEQ_LEN)
    assert not counted.notes


def test_a_gpt_with_attention_written_out_has_the_same_flops_without_the_recomputed_scores() -> (
    None
):
    step = training_step(gpt(explicit=True), tokens(), GPT.vocab)
    assert flops_by_torch(step) == GPT.step_flops(2, SEQ_LEN, fused_attention=False)


def test_attention_backends_share_model_flops_and_differ_by_the_recomputed_scores() -> None:
    step = training_step(gpt(), tokens(), GPT.vocab)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        flash = count(step, phase="step")
    with sdpa_kernel(SDPBackend.MATH):
        math = count(step, phase="step")
    assert flash.model_flops == math.model_flops
    assert math.flops == GPT.step_flops(2, SEQ_LEN, fused_attention=False)
    assert flash.flops == GPT.step_flops(2, SEQ_LEN, fused_attention=True)


def test_an_op_without_a_formula_empties_flops_and_is_named() -> None:
    x = torch.randn(4, 4, requires_grad=True)

    def step() -> None:
        (x @ x).sum().backward()  # type: ignore[no-untyped-call]
        torch.linalg.qr(x.detach())

    counted = count(step, phase="step")
    assert counted.flops is None
    assert counted.notes == {"flops": "no formula for aten.linalg_qr"}
    assert counted.model_flops == 3 * 2 * 4**3  # the forward has no unknown op


def test_all_ops_without_a_formula_are_named_in_order() -> None:
    x = torch.randn(4, 4, requires_grad=True)

    def step() -> None:
        loss: Tensor = torch.fft.fft(torch.cdist(x, x)).real.sum()
        loss.backward()  # type: ignore[no-untyped-call]

    counted = count(step, phase="step")
    reason = "no formula for aten._cdist_forward, aten._fft_r2c"
    assert counted.model_flops is None
    assert counted.notes["model_flops"] == reason
    assert counted.notes["flops"].startswith("no formula for aten._cdist_backward, aten._cdist_f")


def test_what_the_step_raises_comes_through_and_leaves_no_ledger_open() -> None:
    def step() -> None:
        raise ZeroDivisionError("the step's own")

    with pytest.raises(ZeroDivisionError, match="the step's own"):
        count(step, phase="step")
    assert _get_current_dispatch_mode() is None


def test_two_counts_of_the_same_step_are_identical() -> None:
    step = training_step(gpt(), tokens(), GPT.vocab)
    assert count(step, phase="step") == count(step, phase="step")
