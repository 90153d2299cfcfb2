"""`traincost calibrate`: does the clock agree with another's, and how often is the rule wrong?"""

from __future__ import annotations

import argparse
import sys

from traincost.data.errors import BadInputError

KINDS = (
    *("gaussian", "unequal", "ar1", "bimodal", "outliers", "drift"),
    *("stalls", "shared", "few-bimodal", "one-noisy"),
)
"""The names of `traincost.judge.noise.SHAPES`, which `--help` doesn't import."""
FEWEST_PAIRS = 6
"""Real pairs to draw from."""
EFFECTS_REL = (0.03, 0.05, 0.08)
"""Slowed down by so much, by arithmetic, in real pairs of identical code."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "--cost-threads", metavar="N", type=int, help="CPU threads of the clock (default: 1)"
    )
    parser.add_argument(
        "--only",
        choices=("clock", "simulation", "real"),
        help="one part (default: clock and simulation); `real` runs `traincost ab` on identical "
        "code and on planted slow-downs (about 30 minutes)",
    )
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
    _check(options)
    if options.only in (None, "clock"):
        _clock(options)
    if options.only in (None, "simulation"):
        _simulation(options)
    if options.only == "real":
        _real(options)
    return 0


def _check(options: argparse.Namespace) -> None:
    """BadInputError where an option does nothing in the part that is run, or can't be."""
    given = {
        "--cost-threads": ("clock", options.cost_threads is not None),
        "--noise": ("simulation", options.noise is not None),
        "--full": ("simulation", options.full),
    }
    for option, (part, is_given) in given.items():
        if is_given and options.only not in (None, part):
            raise BadInputError(
                f"{option} with --only {options.only}: it is of the {part}; expected --only {part}"
                f", or no --only, or no {option}"
            )
    if options.cost_threads is not None:
        from traincost.machine.processor import measuring_cpus

        measuring_cpus(options.cost_threads)


def _clock(options: argparse.Namespace) -> None:
    from traincost.calibrate import TRIALS, agreements
    from traincost.show.calibrate import COLUMNS, agreement_row
    from traincost.show.progress import steps_done
    from traincost.show.tables import render

    with steps_done("timing beside torch.utils.benchmark") as step_done:
        rows = [agreement_row(a) for a in agreements(options.cost_threads or 1, watch=step_done)]
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


def _real(options: argparse.Namespace) -> None:
    """True comparisons on this machine; then many more, drawn from the pairs of the longest."""
    from traincost.ab.trials import Sizes, run_trials
    from traincost.judge.resampled import resample
    from traincost.show.real import COLUMNS, progress_line, study_rows
    from traincost.show.tables import render
    from traincost.verbs.ab import terminated_as_interrupted

    trials = Sizes().trials()
    with terminated_as_interrupted():
        tried = list(
            run_trials(
                trials, lambda done: print(progress_line(done, trials), file=sys.stderr, flush=True)
            )
        )
    effects_rel = (0.0, *EFFECTS_REL) if tried[0].pairs >= FEWEST_PAIRS else ()
    resampled = [resample(tried[0].log_ratios, effect_rel) for effect_rel in effects_rel]
    rows = study_rows(tried, resampled)
    print(render("real comparisons", COLUMNS, rows, options.format), end="")
