"""Comparison of Postern with its peers: `me`, a list, logins and floods of rejected requests.

python -m benchmarks.endpoint [--rounds 3] [--seconds 4] [--storm-seconds 10] [--only me,storm]
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import structlog

from benchmarks import cores, scenarios
from benchmarks.contenders import CONSTANT, POSTERN, Contender, all_contenders
from benchmarks.load import Generator, generator
from benchmarks.plot import draw
from benchmarks.rounds import measure, measure_storms
from benchmarks.tables import Results, print_floods, print_goals, print_speeds, print_storm
from benchmarks.users import BenchmarkUser

PICTURE = Path(__file__).with_suffix(".png")
SCENARIOS = ("me", "me-alone", "list", "floods", "storm")


def check_replies_are_equal(contenders: Mapping[str, Contender]) -> None:
    """Checks that all contenders return the same data, so that they do the same work."""
    for query, position in ((scenarios.ME, 1), (scenarios.LIST, 0)):
        replies = {
            name: _ask(contender, query, contender.users[position])
            for name, contender in contenders.items()
            if name != CONSTANT
        }
        for name, reply in replies.items():
            expected = replies[POSTERN]
            assert reply == expected, f"{name} returned {reply}, Postern returned {expected}."


def _ask(contender: Contender, query: str, user: BenchmarkUser) -> Any:
    reply = httpx2.post(
        f"http://localhost:{contender.port}/graphql",
        json={"query": query},
        headers={"Authorization": f"Bearer {user.token}"},
        timeout=30,
    )
    return _without_ids(reply.json())


def _without_ids(value: Any) -> Any:
    """Returns the value without IDs, which differ between databases."""
    return json.loads(json.dumps(value), object_hook=lambda o: {k: o[k] for k in o if k != "id"})


def run(contenders: Mapping[str, Contender], load: Generator, given: argparse.Namespace) -> Results:
    """Measures the selected scenarios and prints each table when it is ready."""
    results, rounds, seconds = Results(), given.rounds, given.seconds
    if "me" in given.only:
        results.me = measure(load, scenarios.me(contenders, 32, seconds), rounds)
        print_speeds("me, 32 connections", results.me)
    if "me-alone" in given.only:
        results.me_alone = measure(load, scenarios.me(contenders, 1, seconds), rounds)
        print_speeds("me, 1 connection", results.me_alone)
    if "list" in given.only:
        results.lists = measure(load, scenarios.lists(contenders, 16, seconds), rounds)
        print_speeds("users(first: 50), 16 connections", results.lists)
    if "floods" in given.only:
        results.floods = measure(load, scenarios.floods(contenders[POSTERN], 32, seconds), rounds)
        print_floods("Floods, 32 connections", results.floods)
    if "storm" in given.only:
        storms = scenarios.storms(contenders, given.storm_seconds)
        results.storm = measure_storms(load, storms, rounds, given.storm_seconds)
        print_storm("me, 50 times per second, while 16 clients log in without pause", results.storm)
    return results


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=4, help="duration of one round of one server"
    )
    parser.add_argument(
        "--storm-seconds", type=float, default=10, help="duration of one login storm"
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=SCENARIOS,
        help=f"scenarios to run, of {','.join(SCENARIOS)}",
    )
    parser.add_argument("--no-postgresql", action="store_true")
    return parser.parse_args()


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    given = _read_arguments()
    print(cores.warning(), end="\n" if cores.warning() else "")
    with (
        tempfile.TemporaryDirectory() as name,
        all_contenders(Path(name), postgresql=not given.no_postgresql) as contenders,
        generator() as load,
    ):
        check_replies_are_equal(contenders)
        results = run(contenders, load, given)
    print_goals(results)
    if draw(results, PICTURE):
        print(f"\nPlot written to {PICTURE}")
    else:
        print("\nNo plot: matplotlib is not installed. `make bench-endpoint` installs it.")


if __name__ == "__main__":
    main()
