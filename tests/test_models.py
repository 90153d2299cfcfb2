"""The suites' models: their size, their seeds, and that each is what its file says."""

from __future__ import annotations

import pytest
import torch

from traincost_suites.models import FAMILIES, build, count_parameters, family, gpt, n_nominal

TOLERANCE = 0.25  # of a nominal size: what the docs promise
NAMES = [f"{head}-{size}" for head, found in FAMILIES.items() for size in found.sizes]
SMALL = ["mlp-10k", "convnet-10k", "convnet32-10k", "gpt-10k", "lstm-10k"]


def inputs(name: str, batch: int = 3) -> torch.Tensor:
    kind = family(name).data
    if kind in ("digits", "images"):
        shape = (1, 8, 8) if kind == "digits" else (3, 32, 32)
        return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))
    return torch.randint(0, 256, (batch, 32), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_about_its_nominal_number_of_parameters(name: str) -> None:
    nominal = n_nominal(name.partition("-")[2])
    assert count_parameters(build(name, device="meta")) == pytest.approx(nominal, rel=TOLERANCE)


@pytest.mark.parametrize("size", ["8M", "30M", "300M", "3B"])
def test_a_gpt_of_any_size_can_be_derived(size: str) -> None:
    model = build(f"gpt-{size}", device="meta")
    assert count_parameters(model) == pytest.approx(n_nominal(size), rel=TOLERANCE)


@pytest.mark.parametrize("vocabulary", [gpt.BYTES, gpt.PADDED_GPT2])
@pytest.mark.parametrize("size", gpt.SIZES)
def test_heads_of_a_derived_gpt_divide_its_width(size: str, vocabulary: int) -> None:
    config = gpt.derived(n_nominal(size), vocabulary)
    assert config.width % config.n_heads == 0
    assert config.width // config.n_heads in (16, 32, 64, 128)


@pytest.mark.parametrize("size", gpt.SIZES)
def test_parameters_of_a_gpt_equal_the_closed_form(size: str) -> None:
    with torch.device("meta"):
        assert count_parameters(gpt.Gpt(gpt.SIZES[size])) == gpt.SIZES[size].n_params


def test_a_shared_parameter_is_counted_once_and_a_frozen_one_not_at_all() -> None:
    first, second = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    frozen = torch.nn.Linear(5, 5).requires_grad_(False)
    assert count_parameters(torch.nn.Sequential(first, second, frozen)) == 9


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    once, again, other = (build(name, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(once[key], again[key]) for key in once)
    assert any(not torch.equal(once[key], other[key]) for key in once)


@pytest.mark.parametrize("name", SMALL)
def test_logits_have_a_row_for_each_prediction(name: str) -> None:
    x = inputs(name)
    logits = build(name)(x)
    if family(name).data in ("digits", "images"):
        assert logits.shape == (3, 10)
    else:
        assert logits.shape == (3, 32, 256)


@pytest.mark.parametrize("name", ["gpt-10k", "lstm-10k"])
def test_a_later_token_does_not_change_earlier_logits(name: str) -> None:
    model, tokens = build(name), inputs(name)
    changed = tokens.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 256
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.equal(before[:, 20:], after[:, 20:])


def test_position_matters_to_a_gpt() -> None:
    logits = build("gpt-10k")(torch.full((1, 8), 65))
    assert not torch.allclose(logits[:, 0], logits[:, 5])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gtp-1M", "expected '<family>-<size>'"),
        ("gpt", "expected '<family>-<size>'"),
        ("mlp-3M", "expected a size of 10k, 100k"),
        ("gpt-0M", "expected a number and k, M or B"),
        ("gpt-big", "expected a number and k, M or B"),
        ("gpt50k-1M", "expected 10M or more"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_expected(name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        build(name, device="meta")
