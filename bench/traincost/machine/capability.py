"""One thing that this machine can or cannot measure, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """A line of `traincost machine`."""

    what: str
    available: bool
    detail: str  # what was seen, or the reason why not
    remedy: str | None = None  # what to do; None where nothing is wrong or nothing helps
