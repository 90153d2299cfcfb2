"""How much time a case may take: the three profiles, and which one this process runs.

The plugin chooses the profile when pytest is configured, before any suite file is imported, so that
a suite's grid can ask for it while the cases are collected.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Budgets of one case. More time buys precision, never another definition of the number."""

    name: str
    timed_s: float  # for the timed rounds; the first `MIN_ROUNDS` are taken even if they need more
    timed_max_s: float  # unless they would need more than this: then fewer rounds, and a note
    warmup_s: float  # until the steps are steady
    energy_s: float  # of steps while energy is recorded; at least one step


PROFILES = {
    p.name: p
    for p in (
        Profile("quick", timed_s=0.8, timed_max_s=4.0, warmup_s=0.5, energy_s=2.0),
        Profile("standard", timed_s=2.0, timed_max_s=10.0, warmup_s=2.0, energy_s=10.0),
        Profile("full", timed_s=10.0, timed_max_s=120.0, warmup_s=10.0, energy_s=60.0),
    )
}
DEFAULT_PROFILE = "quick"

_chosen = [PROFILES[DEFAULT_PROFILE]]


def choose_profile(name: str) -> Profile:
    """Make `name` this process's profile."""
    if name not in PROFILES:
        raise ValueError(f"--cost-profile {name!r}: expected one of {', '.join(PROFILES)}")
    _chosen[0] = PROFILES[name]
    return _chosen[0]


def current_profile() -> Profile:
    """The profile of this process; `quick` until one is chosen."""
    return _chosen[0]
