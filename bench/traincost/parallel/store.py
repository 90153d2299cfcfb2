"""The key-value store that the processes of a job share: torch's TCPStore, as far as it is used.

One process hosts it; when that one ends, every call of the others raises RuntimeError.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import distributed

_torch: Any = distributed  # its stores are public, but for its own type annotations


class Store(Protocol):
    """Bytes by key."""

    def set(self, key: str, value: bytes, /) -> None:
        """Put a value there."""

    def get(self, key: str, /) -> bytes:
        """The value, once it is there."""
        ...

    def check(self, keys: list[str], /) -> bool:
        """Whether all of them are there."""
        ...

    def compare_set(self, key: str, expected: bytes, desired: bytes, /) -> bytes:
        """Put a value there if the one expected is; none is as good as an empty one."""
        ...


def host_store(host: str = "127.0.0.1", port: int = 0) -> tuple[Store, int]:
    """A store that this process hosts, and its port (0: any that is free)."""
    store = _torch.TCPStore(host, port, is_master=True, wait_for_workers=False)
    return store, int(store.port)


def join_store(host: str, port: int) -> Store:
    """A store that another process hosts."""
    store: Store = _torch.TCPStore(host, port, is_master=False)
    return store


def part_of(store: Store, prefix: str) -> Store:
    """The keys of a store that begin so."""
    part: Store = _torch.PrefixStore(prefix, store)
    return part
