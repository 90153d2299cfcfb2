"""The engine: an actor a slot, pinned to its node, holding all of the node's CPUs or its share.

Ray carries the working directory and this package to the nodes, keeps slots exclusive by counting
CPUs and GPUs, and says which nodes live. It restarts and retries nothing: `drive` does.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import traincost
from traincost.data.errors import BadInputError
from traincost.data.fleet_messages import Hello, Order, Reply
from traincost.fleet.drive import Event
from traincost.fleet.nodes import Node, SlotPlace, slots_of
from traincost.fleet.process import Answer, SlotProcess

NOT_CARRIED = (
    *(".git", ".tox", ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
    *("__pycache__", "results", ".benchmarks", "*.pt", "*.ckpt", "*.safetensors"),
)
"""What the nodes do not need; `.gitignore` and `.rayignore` hold, too."""
CONNECT_S = 10.0
EXPECTED = (
    "expected a Ray cluster that runs (ray://HOST:10001, HOST:6379 or auto), of the same versions "
    "of Ray and Python"
)


def load_ray() -> Any:
    """The package; BadInputError says what to install."""
    try:
        return importlib.import_module("ray")
    except ImportError as e:
        raise BadInputError(
            f"needs Ray, which cannot be imported ({e}); expected: pip install 'traincost[fleet]'"
        ) from e


def connect(ray: Any, address: str | None, folder: Path) -> None:
    """To a cluster that runs (also by RAY_ADDRESS), else to one of this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = address or os.environ.get("RAY_ADDRESS") or "a cluster of this machine"
    _check_answers(where)
    carried = {
        "working_dir": str(folder),
        "py_modules": [str(Path(traincost.__file__).parent)],
        "excludes": list(NOT_CARRIED),
    }
    try:
        ray.init(address, log_to_driver=False, logging_level="error", runtime_env=carried)
    except Exception as e:  # whatever a library of this size raises
        first = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise BadInputError(f"--address {where}: {type(e).__name__}: {first}; {EXPECTED}") from e


def _check_answers(where: str) -> None:
    """Ray itself would try for minutes, and listen to no Ctrl-C meanwhile."""
    host, _, port = where.removeprefix("ray://").rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as e:
        raise BadInputError(f"--address {where}: nothing answers there ({e}); {EXPECTED}") from e


@dataclass
class RaySlots:
    """Slots on a cluster that `ray` is connected to."""

    ray: Any
    arguments: Sequence[str]  # pytest's
    per_device: bool
    _places: dict[str, SlotPlace] = field(default_factory=dict[str, SlotPlace], init=False)
    _actors: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    _asked: dict[Any, str] = field(default_factory=dict[Any, str], init=False)  # slot by reference

    def places(self) -> Mapping[str, str]:
        """Slot to node, of what the cluster has now."""
        nodes = [_node(told) for told in self.ray.nodes() if told["Alive"]]
        self._places = {p.slot: p for p in slots_of(nodes, self.arguments, self.per_device)}
        return {slot: place.node.name for slot, place in self._places.items()}

    def start(self, slot: str) -> None:
        """An actor, and a pytest in it."""
        self._let_go(slot)
        place = self._places[slot]
        scheduling = importlib.import_module("ray.util.scheduling_strategies")
        actor = (
            self.ray.remote(SlotProcess)
            .options(
                num_cpus=place.cpus,
                num_gpus=place.gpus,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=scheduling.NodeAffinitySchedulingStrategy(
                    place.node.node_id, soft=False
                ),
            )
            .remote(list(self.arguments), place.index, place.of)
        )
        self._actors[slot] = actor
        self._asked[actor.hello.remote()] = slot

    def run(self, slot: str, order: Order) -> None:
        """Send it."""
        self._asked[self._actors[slot].run.remote(order.to_text())] = slot

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """The first answers, and all that have come meanwhile."""
        asked = list(self._asked)
        ready, _ = self.ray.wait(asked, num_returns=1, timeout=timeout_s) if asked else ([], [])
        if ready:
            ready, _ = self.ray.wait(asked, num_returns=len(asked), timeout=0)
        return [self._event(self._asked.pop(reference), reference) for reference in ready]

    def close(self) -> None:
        """End what the slots run, and leave the cluster."""
        for actor in self._actors.values():
            self.ray.kill(actor)  # its pytest goes with it
        self.ray.shutdown()

    def _event(self, slot: str, reference: Any) -> Event:
        try:
            kind, text = _answer(self.ray.get(reference))
        except self.ray.exceptions.RayError:  # the actor has gone, with its node or without
            return Event(slot)
        if kind == "hello":
            return Event(slot, hello=Hello.of_text(text))
        if kind == "reply":
            return Event(slot, reply=Reply.of_text(text))
        return Event(slot, died=text) if kind == "died" else Event(slot, refused=text)

    def _let_go(self, slot: str) -> None:
        if slot in self._actors:
            self.ray.kill(self._actors.pop(slot))
        self._asked = {reference: s for reference, s in self._asked.items() if s != slot}


def _answer(told: Any) -> Answer:
    kind, text = told
    return str(kind), str(text)


def _node(told: Mapping[str, Any]) -> Node:
    resources: Mapping[str, float] = told["Resources"]
    return Node(
        node_id=told["NodeID"],
        name=told.get("NodeManagerHostname") or told["NodeManagerAddress"],
        address=told["NodeManagerAddress"],
        cpus=int(resources.get("CPU", 0)),
        gpus=int(resources.get("GPU", 0)),
    )
