"""Runs the whole suite on all processors."""

import concurrent.futures
import multiprocessing
import os

import jax

from conformance import document, suite


def run_cases(cases):
    """Their outcomes; what JAX compiled for them is dropped."""
    outcomes = [suite.run(*case) for case in cases]
    jax.clear_caches()
    return outcomes


def run_group(group):
    """The outcomes of one group."""
    return run_cases(document.group_cases(group))


def run_all():
    """The outcomes of every case."""
    context = multiprocessing.get_context("spawn")
    workers = min(4, os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        groups = list(pool.map(run_group, range(document.GROUPS)))
    return [outcome for outcomes in groups for outcome in outcomes]
