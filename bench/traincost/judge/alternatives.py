"""Other ways to bound a slow-down, which simulations found no better: kept to be tried again.

Each is a function like `paired_bounds`. What became of them stands in docs/gate.md.
"""

from __future__ import annotations

import numpy as np

from traincost.judge.bounds import (
    HELD_EXTRA_DF,
    Bounds,
    Errors,
    Floats,
    Location,
    bounds_of,
    paired_bounds,
    plain,
    quantile,
    trimmed,
)
from traincost.judge.study import BoundsOf

HUBER_K = 1.345  # 95% efficient where the noise is normal
MAD_TO_SD = 1.4826
MODERATED_DF = 4.0  # as if so many more numbers had the typical spread


def plain_t(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """Student's t on each case alone."""
    del typical_sd
    return bounds_of(plain(d), np.zeros(1), errors.alpha, errors.beta, 0.0)


def plain_with_floor(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The rule without the trimmed mean."""
    least_se = np.asarray(typical_sd) / np.sqrt(d.shape[-1])
    return bounds_of(plain(d), least_se, errors.alpha, errors.beta, HELD_EXTRA_DF)


def nearer_without_floor(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The rule without the floor under the spread; its degrees of freedom are too many then."""
    del typical_sd
    return paired_bounds(d, errors, 0.0)


def trimmed_tenth(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The trimmed mean alone, a tenth at each end."""
    return _trimmed(d, errors, typical_sd, max(1, round(d.shape[-1] / 10)))


def trimmed_fifth(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The trimmed mean alone, a fifth at each end."""
    return _trimmed(d, errors, typical_sd, max(1, round(d.shape[-1] / 5)))


def _trimmed(d: Floats, errors: Errors, typical_sd: Floats | float, g: int) -> Bounds:
    least_se = np.asarray(typical_sd) / np.sqrt(d.shape[-1])
    at = plain(d) if d.shape[-1] < 6 else trimmed(d, g)
    return bounds_of(at, least_se, errors.alpha, errors.beta, HELD_EXTRA_DF)


def winsorised(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The mean with a tenth at each end moved in, with Yuen's error."""
    n = d.shape[-1]
    if n < 6:
        return _trimmed(d, errors, typical_sd, 1)
    g = max(1, round(n / 10))
    ordered = np.sort(d, axis=-1)
    mean = np.clip(d, ordered[..., g : g + 1], ordered[..., n - g - 1 : n - g]).mean(-1)
    at = trimmed(d, g)
    least_se = np.asarray(typical_sd) / np.sqrt(n)
    at = Location(mean, at.se, at.df)
    return bounds_of(at, least_se, errors.alpha, errors.beta, HELD_EXTRA_DF)


def huber(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """Huber's M-estimate with its asymptotic error; the scale is the median deviation."""
    n = d.shape[-1]
    mean = np.median(d, axis=-1)
    scale = MAD_TO_SD * np.median(np.abs(d - mean[..., None]), axis=-1)
    scale = np.maximum(scale, np.asarray(typical_sd))
    for _ in range(8):
        psi, inside = _huber_psi(d, mean, scale)
        mean = mean + scale * psi.sum(-1) / np.maximum(inside.sum(-1), 1)
    psi, inside = _huber_psi(d, mean, scale)
    share = np.maximum(inside.mean(-1), 1 / n)
    se = scale * np.sqrt((psi**2).sum(-1) / (n - 1)) / (share * np.sqrt(n))
    least_se = np.asarray(typical_sd) / np.sqrt(n)
    at = Location(mean, se, n - 1.0)
    return bounds_of(at, least_se, errors.alpha, errors.beta, HELD_EXTRA_DF)


def _huber_psi(d: Floats, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    z = (d - mean[..., None]) / np.maximum(scale, 1e-12)[..., None]
    return np.clip(z, -HUBER_K, HUBER_K), (np.abs(z) <= HUBER_K).astype(np.float64)


def hodges_lehmann(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """The median of all means of two, with the signed-rank interval (normal approximation).

    Where n numbers cannot reach so small an error, the bound is infinite.
    """
    del typical_sd
    n = d.shape[-1]
    i, j = np.triu_indices(n)
    walsh = np.sort((d[..., i] + d[..., j]) / 2, axis=-1)
    k_alpha, k_beta = (_signed_rank(n, error) for error in (errors.alpha, errors.beta))
    return Bounds(
        np.median(walsh, axis=-1),
        walsh[..., k_alpha] if k_alpha >= 0 else np.full(len(d), -np.inf),
        walsh[..., -1 - k_beta] if k_beta >= 0 else np.full(len(d), np.inf),
        walsh[..., -1 - k_alpha] if k_alpha >= 0 else np.full(len(d), np.inf),
    )


def _signed_rank(n: int, error: float) -> int:
    """The place of the bound among the ordered Walsh averages; -1 where it cannot be had."""
    if error <= 0 or 0.5**n > error:
        return -1
    spread = np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(0, int(np.floor(n * (n + 1) / 4 - float(quantile(error, 1e6)) * spread)))


def moderated(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
    """Limma's t: each variance drawn towards the typical one, by four degrees of freedom."""
    n = d.shape[-1]
    at = plain(d)
    prior = np.asarray(typical_sd) ** 2 / n
    se = np.sqrt((MODERATED_DF * prior + at.df * at.se**2) / (MODERATED_DF + at.df))
    shrunk = Location(at.mean, se, at.df + MODERATED_DF)
    return bounds_of(shrunk, np.zeros(1), errors.alpha, errors.beta, 0.0)


WAYS: dict[str, BoundsOf] = {
    "the rule": paired_bounds,
    "plain t": plain_t,
    "plain t, floor under the spread": plain_with_floor,
    "nearer of plain and trimmed, no floor": nearer_without_floor,
    "trimmed mean, a tenth": trimmed_tenth,
    "trimmed mean, a fifth": trimmed_fifth,
    "winsorised mean": winsorised,
    "Huber": huber,
    "Hodges-Lehmann": hodges_lehmann,
    "moderated t": moderated,
}
"""By the name they are shown under."""
