"""How many bytes of memory a set of tensors stands on, each byte once.

A `Region` is the part of a storage that one tensor reaches. The footprint of several regions of one
storage is the smaller of two bounds: the sum of their sizes (three interleaved slices of one fused
tensor), and the length of the union of their spans (a tensor beside its own transpose or slice).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Region(NamedTuple):
    """The bytes from `start` to `stop` of a storage, `unique` of which are used."""

    storage: int  # address of torch's storage object
    start: int
    stop: int
    unique: int


def dense_parts(value: Any) -> Iterator[Tensor]:
    """The strided tensors within an argument: itself, a list's, a sparse tensor's.

    Tensors of oneDNN's blocked layout have no storage to look at and are passed over.
    """
    import torch

    if isinstance(value, (list, tuple)):
        for item in value:
            yield from dense_parts(item)
    elif not isinstance(value, torch.Tensor):
        return
    elif value.layout is torch.strided:
        yield value
    elif value.layout is torch.sparse_coo:
        yield from (value._indices(), value._values())
    elif value.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (value.crow_indices(), value.col_indices(), value.values())
    elif value.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (value.ccol_indices(), value.row_indices(), value.values())


def region_of(tensor: Tensor) -> Region:
    """The memory of a strided tensor; a dimension of stride 0 (an expanded one) is there once."""
    itemsize = tensor.element_size()
    dims = [(n, stride) for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    empty = tensor.numel() == 0
    extent = 0 if empty else 1 + sum((n - 1) * stride for n, stride in dims)
    distinct = min(extent, prod(n for n, _ in dims))  # overlapping windows: at most the extent
    start = int(tensor.storage_offset()) * itemsize
    storage = tensor.untyped_storage()._cdata
    return Region(storage, start, start + extent * itemsize, distinct * itemsize)


def footprint_bytes(regions: Iterable[Region]) -> int:
    """Bytes of memory under `regions`, each once."""
    by_storage: defaultdict[int, set[Region]] = defaultdict(set)
    for region in regions:
        by_storage[region.storage].add(region)
    return sum(
        min(sum(r.unique for r in found), _union_bytes(found)) for found in by_storage.values()
    )


def _union_bytes(regions: set[Region]) -> int:
    total = reached = 0
    for region in sorted(regions, key=lambda r: r.start):
        total += max(0, region.stop - max(reached, region.start))
        reached = max(reached, region.stop)
    return total


class StorageBook:
    """Which memory a step found, touched, and left behind.

    Storages are known by the address of torch's storage object. A weak reference is kept to each,
    which keeps the address from being given out again while the memory itself is freed as ever.
    """

    def __init__(self) -> None:
        self._refs: dict[int, Any] = {}
        self._found: defaultdict[int, set[Region]] = defaultdict(set)  # existed before the step
        self._made: set[int] = set()

    def given(self, tensors: Iterable[Tensor]) -> None:
        """An op got `tensors`: storages not seen before were there before the step."""
        for tensor in tensors:
            self._remember(tensor)

    def made(self, tensors: Iterable[Tensor]) -> None:
        """An op returned `tensors`: storages not seen before were made in the step."""
        for tensor in tensors:
            if self._remember(tensor):
                self._made.add(tensor.untyped_storage()._cdata)

    def touch(self, regions: Iterable[Region]) -> None:
        """An op read or wrote `regions`."""
        for region in regions:
            if region.storage not in self._made:
                self._found[region.storage].add(region)

    def _remember(self, tensor: Tensor) -> bool:
        from torch.multiprocessing.reductions import StorageWeakRef

        storage = tensor.untyped_storage()
        if storage._cdata in self._refs:
            return False
        self._refs[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        return True

    def compulsory_bytes(self) -> int:
        """What was found and touched, once, and what was made and is still alive."""
        touched = (region for regions in self._found.values() for region in regions)
        return footprint_bytes(touched) + sum(self._alive_bytes(key) for key in self._made)

    def _alive_bytes(self, key: int) -> int:
        from torch import UntypedStorage

        ref = self._refs[key]
        return 0 if ref.expired() else int(UntypedStorage._new_with_weak_ptr(ref.cdata).nbytes())
