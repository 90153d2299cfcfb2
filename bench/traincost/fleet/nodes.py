"""From the nodes of a cluster to its slots: a node whole, or a share of it for each of its GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

DEVICE = "--cost-device"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, as its scheduler counts it."""

    node_id: str
    name: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True)
class SlotPlace:
    """Where a slot is, and what it reserves."""

    slot: str
    node: Node
    index: int
    of: int
    cpus: int
    gpus: int


def slots_of(
    nodes: Sequence[Node], arguments: Sequence[str], per_device: bool
) -> Sequence[SlotPlace]:
    """The slots of nodes that measure.

    A node without a CPU to reserve has none. Where a node has GPUs and no CPU cases are asked for,
    nodes without GPUs (the head of most clusters) have none either: they would measure the CPU,
    which is another question.
    """
    usable = [node for node in nodes if node.cpus >= 1]
    if device_of(arguments) != "cpu" and any(node.gpus for node in usable):
        usable = [node for node in usable if node.gpus]
    return [place for node in _told_apart(usable) for place in _slots_of_node(node, per_device)]


def device_of(arguments: Sequence[str]) -> str:
    """The value of `--cost-device` among pytest's arguments; the last counts."""
    device = "auto"
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == DEVICE:
            device = following
        elif argument.startswith(f"{DEVICE}="):
            device = argument.partition("=")[2]
    return device


def _slots_of_node(node: Node, per_device: bool) -> list[SlotPlace]:
    of = max(1, min(node.gpus, node.cpus)) if per_device else 1
    gpus = node.gpus if of == 1 and not per_device else min(node.gpus, 1)
    return [
        SlotPlace(f"{node.node_id}/{index}", node, index, of, node.cpus // of, gpus)
        for index in range(of)
    ]


def _told_apart(nodes: Sequence[Node]) -> list[Node]:
    """Nodes of one name (several on one host) get the beginning of their id."""
    names = Counter(node.name for node in nodes)
    return [
        node if names[node.name] == 1 else replace(node, name=f"{node.name}#{node.node_id[:6]}")
        for node in nodes
    ]
