"""How much time a case may take: the three profiles, and which one this process runs.

The plugin chooses the profile when pytest is configured, before any suite file is imported, so that
a suite's grid can ask for it while the cases are collected.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Profile:
    """Budgets of one case. More time buys precision, never another definition of the number."""

    name: str
    timed_s: float  # for the timed rounds; the first `MIN_ROUNDS` are taken even if they need more
    timed_max_s: float  # unless they would need more than this: then fewer rounds, and a note
    warmup_s: float  # until the steps are steady
    energy_s: float  # of steps while energy is recorded; at least one step
    one_of_many: bool = False  # precision comes from other processes: few rounds, no energy
    untimed: bool = True  # whether FLOPs, bytes, memory and losses are measured, too


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


def choose_one_of_many(*, untimed: bool) -> Profile:
    """Shorten this process's profile for an A/B: more processes help there, longer ones do not."""
    _chosen[0] = replace(
        _chosen[0],
        timed_s=0.25,
        timed_max_s=0.35,
        warmup_s=0.1,
        energy_s=0.0,
        one_of_many=True,
        untimed=untimed,
    )
    return _chosen[0]


def current_profile() -> Profile:
    """The profile of this process; `quick` until one is chosen."""
    return _chosen[0]
