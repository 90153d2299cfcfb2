"""Which memory one dispatched op reads and writes, by its schema.

* Read: every tensor argument, each byte once however many arguments share it.
* Written: every tensor that the schema marks as mutated, and every result with memory of its own.
  A mutated tensor is read as well, unless the op only overwrites it (`copy_`, `zero_`, `out=`).
* A lookup (`embedding`, `index`) reads from its source at most as many bytes as it returns.
* An op that makes a tensor like another (`zeros_like`) does not read that one.
* Views, questions about a tensor, and allocations move nothing.

So it is the unfused traffic of perfect kernels: no cache is modelled, nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traincost.instruments.footprint import Region, dense_parts, region_of

if TYPE_CHECKING:
    from torch import Tensor

ALLOCATIONS = frozenset(
    ["empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"]
)
"""They reserve memory and leave it as it is."""

METADATA = frozenset(
    [
        "_dimI",
        "_dimV",
        "_fused_sdp_choice",
        "_has_same_storage_numel",
        "_nnz",
        "as_strided_",
        "dense_dim",
        "detach_",
        "is_coalesced",
        "is_pinned",
        "is_same_size",
        "is_set_to",
        "record_stream",
        "resize_",
        "set_",
        "sparse_dim",
        "squeeze_",
        "sym_constrain_range",
        "sym_constrain_range_for_size",
        "t_",
        "transpose_",
        "unsqueeze_",
        "prim::device",
        "prim::layout",
        "profiler::_record_function_enter_new",
        "profiler::_record_function_exit",
    ]
)
"""They ask about a tensor, change what it says of its memory, or mark a time for the profiler."""

_SHAPE_ONLY = frozenset(
    [
        "full_like",
        "new_full",
        "new_ones",
        "new_zeros",
        "ones_like",
        "rand_like",
        "randint_like",
        "randn_like",
        "zeros_like",
    ]
)
_OVERWRITES = frozenset(
    [
        "_foreach_copy_",
        "_foreach_zero_",
        "bernoulli_",
        "cauchy_",
        "copy_",
        "exponential_",
        "fill_",
        "geometric_",
        "log_normal_",
        "normal_",
        "random_",
        "uniform_",
        "zero_",
    ]
)
_LOOKUPS = frozenset(["_unsafe_index", "embedding", "gather", "index", "index_select", "take"])


@dataclass(frozen=True)
class Traffic:
    """The tensors that one op got and made, and the memory that it read and wrote."""

    given: list[Tensor]
    made: list[Tensor]
    reads: list[Region]
    writes: list[Region]
    moves: bool  # False for a view, a question, an allocation


def traffic_of(func: Any, args: Any, kwargs: Any, out: Any) -> Traffic:
    """Traffic of `out = func(*args, **kwargs)`; a higher-order op is taken to mutate nothing."""
    name = op_name(func)
    given: list[Tensor] = []
    reads: list[Region] = []
    writes: list[Region] = []
    for value, mutated, overwritten in _arguments(func, args, kwargs):
        tensors = list(dense_parts(value))
        given += tensors
        regions = [region_of(t) for t in tensors]
        if mutated:
            writes += regions
        if not overwritten and name not in _SHAPE_ONLY:
            reads += regions
    results = list(dense_parts(out))
    known = {t.untyped_storage()._cdata for t in given}
    made = [t for t in results if t.untyped_storage()._cdata not in known]
    # Some views do not say so in their schema (`_unsafe_view`): their memory does.
    is_view = not writes and bool(results) and not made
    if name in _LOOKUPS and reads:
        returned_bytes = sum(region_of(t).unique for t in made)
        reads[0] = reads[0]._replace(unique=min(reads[0].unique, returned_bytes))
    moves = not (is_view or name in METADATA or name in ALLOCATIONS)
    return Traffic(given, made, reads, writes + [region_of(t) for t in made], moves)


def op_name(func: Any) -> str:
    """Namespace and packet, no overload: `c10d::send`; `add_`, for `aten` is left out."""
    packet = getattr(func, "_overloadpacket", None)
    if packet is None:
        return f"higher_order::{func}"
    return str(packet._qualified_op_name).removeprefix("aten::")


def _arguments(func: Any, args: Any, kwargs: Any) -> Iterator[tuple[Any, bool, bool]]:
    """Value, whether mutated, whether mutated without being read, of each argument."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        yield from ((value, False, False) for value in (*args, *kwargs.values()))
        return
    overwrites = op_name(func) in _OVERWRITES
    for position, argument in enumerate(schema.arguments):
        value = args[position] if position < len(args) else kwargs.get(argument.name)
        alias = argument.alias_info
        mutated = alias is not None and alias.is_write
        yield value, mutated, mutated and (overwrites or argument.is_out)
