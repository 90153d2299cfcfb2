"""`traincost calibrate`: does the clock agree with another's, and how often is the rule wrong?"""

from __future__ import annotations

import argparse

KINDS = (
    *("gaussian", "unequal", "ar1", "bimodal", "outliers", "drift"),
    *("stalls", "shared", "few-bimodal", "one-noisy"),
)
"""The names of `traincost.judge.noise.SHAPES`, which `--help` doesn't import."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "--cost-threads", metavar="N", type=int, default=1, help="CPU threads (default: 1)"
    )
    parser.add_argument("--only", choices=("clock", "simulation"), help="one half (default: both)")
    parser.add_argument(
        "--noise", metavar="KIND", choices=KINDS, help="one of: " + ", ".join(KINDS)
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="20,000 suites a kind of noise, and what was tried and left (about 30 minutes)",
    )


def run(options: argparse.Namespace) -> int:
    """Time the same steps here and by torch.utils.benchmark; simulate suites under the rule."""
    if options.only != "simulation":
        _clock(options)
    if options.only != "clock":
        _simulation(options)
    return 0


def _clock(options: argparse.Namespace) -> None:
    from traincost.calibrate import TRIALS, agreements
    from traincost.show.calibrate import COLUMNS, agreement_row
    from traincost.show.progress import steps_done
    from traincost.show.tables import render

    with steps_done("timing beside torch.utils.benchmark") as step_done:
        rows = [agreement_row(a) for a in agreements(options.cost_threads, watch=step_done)]
    title = f"this clock beside torch.utils.benchmark, medians of {TRIALS} interleaved trials"
    print(render(title, COLUMNS, rows, options.format), end="", flush=True)


def _simulation(options: argparse.Namespace) -> None:
    from traincost.judge.plans import (
        beside_peers,
        only,
        other_outcomes,
        peer_outcomes,
        plan,
        rule_outcomes,
        unpaired_outcomes,
    )
    from traincost.judge.summaries import summary_spreads
    from traincost.show import study
    from traincost.show.progress import steps_done
    from traincost.show.tables import render

    chosen = (
        plan(options.full) if options.noise is None else only(plan(options.full), options.noise)
    )
    with steps_done("simulating suites") as done:
        rows = [study.outcome_row(heading, o) for heading, o in rule_outcomes(chosen, done)]
    with steps_done("simulating files of runs") as done:
        rows += [study.unpaired_row(outcome) for outcome in unpaired_outcomes(chosen, done)]
    with steps_done("judging them as other tools do") as done:
        ours = [study.beside_peers_row(outcomes) for outcomes in beside_peers(chosen)]
        theirs = [study.peer_row(outcome) for outcome in peer_outcomes(chosen, done)]
        rows += study.by_noise([*ours, *theirs], chosen.peer_shapes)
    with steps_done("trying other bounds") as done:
        rows += [study.other_row(name, o) for name, o in other_outcomes(chosen, done)]
    rows += study.summary_rows(summary_spreads(chosen.n_summary_runs))
    print(render("simulated suites", study.COLUMNS, rows, options.format), end="")
