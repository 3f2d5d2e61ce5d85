"""Tables of the results, and the goals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.contenders import (
    APOLLO,
    CONSTANT,
    MERCURIUS,
    PLAIN,
    POSTERN,
    POSTERN_POSTGRESQL,
)
from benchmarks.rounds import Speed, StormResult

T = TypeVar("T")

NOTHING = "-"


@dataclass(slots=True)
class Results:
    """The measurements by contender, or by flood."""

    me: dict[str, Speed] = field(default_factory=dict)
    me_alone: dict[str, Speed] = field(default_factory=dict)
    lists: dict[str, Speed] = field(default_factory=dict)
    floods: dict[str, Speed] = field(default_factory=dict)
    storm: dict[str, StormResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and the measured value; None if it was not measured."""

    text: str
    measured: float | None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def row(self) -> list[str]:
        """The cells of a table: text, goal, measured value, verdict."""
        wanted = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        if self.measured is None:
            return [self.text, wanted, NOTHING, "not measured"]
        met = self.at_least is None or self.measured >= self.at_least
        met = met and (self.at_most is None or self.measured <= self.at_most)
        return [self.text, wanted, f"{self.measured:.2f}", "met" if met else "missed"]


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is left-aligned, the others right-aligned."""
    print(f"\n{title}")
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for first, *others in lines:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([f"  {first.ljust(widths[0])}", *cells]).rstrip(), flush=True)


def print_speeds(title: str, found: Mapping[str, Speed]) -> None:
    """Prints the speed of each contender and its ratios to the others."""
    figures = ["req/s", "p50 ms", "p99 ms", "x plain", "x merc.", "of constant", "p99 x merc."]
    rows = [
        [
            name,
            f"{speed.per_second:,.0f}",
            _milliseconds(speed.p50),
            _milliseconds(speed.p99),
            _text(_ratio(found, name, PLAIN, _rate)),
            _text(_ratio(found, name, MERCURIUS, _rate)),
            _text(_ratio(found, name, CONSTANT, _rate)),
            _text(_ratio(found, name, MERCURIUS, _slowest)),
            f"{speed.cpu * 1_000_000:,.0f}",
            f"{speed.load:.0%}",
        ]
        for name, speed in found.items()
    ]
    print_table(title, ["", *figures, "cpu us", "load"], rows)


def print_floods(title: str, found: Mapping[str, Speed]) -> None:
    """Prints the speed of each flood and its ratio to `me`."""
    rows = [
        [
            name,
            f"{speed.per_second:,.0f}",
            _milliseconds(speed.p50),
            _milliseconds(speed.p99),
            _text(_ratio(found, name, "me", _rate)),
            f"{speed.cpu * 1_000_000:,.0f}",
        ]
        for name, speed in found.items()
    ]
    print_table(title, ["", "req/s", "p50 ms", "p99 ms", "x me", "cpu us"], rows)


def print_storm(title: str, found: Mapping[str, StormResult]) -> None:
    """Prints the latency of `me` during a login storm, and the rate of logins."""
    figures = ["me p50 ms", "me p99 ms", "p99 x merc.", "logins/s", "of hashes", "refused/s"]
    rows = [
        [
            name,
            _milliseconds(storm.p50),
            _milliseconds(storm.p99),
            _text(_ratio(found, name, MERCURIUS, _slowest)),
            f"{storm.logins_per_second:.2f}",
            f"{storm.share_of_hashes:.2f}",
            f"{storm.refused_per_second:,.0f}",
            f"{storm.failed:,}",
        ]
        for name, storm in found.items()
    ]
    print_table(title, ["", *figures, "failed"], rows)


def print_goals(results: Results) -> None:
    """Prints each goal and whether it is met in this run."""
    rows = [goal.row for goal in goals(results)]
    print_table("Goals", ["", "wanted", "measured", ""], rows)


def goals(results: Results) -> list[Goal]:
    """Returns the goals of Postern as ratios within one run."""
    return [
        *_goals_of_me(results, POSTERN),
        *_goals_of_me(results, POSTERN_POSTGRESQL),
        Goal("list of 50, x plain", _ratio(results.lists, POSTERN, PLAIN, _rate), at_least=10),
        Goal(
            "me p99 in a storm of logins, x mercurius",
            _ratio(results.storm, POSTERN, MERCURIUS, _slowest),
            at_most=0.5,
        ),
        Goal(
            "logins, of the hashes that the core can compute",
            results.storm[POSTERN].share_of_hashes if results.storm else None,
            at_least=0.95,
        ),
        *(
            Goal(f"flood: {name}, x me", _ratio(results.floods, name, "me", _rate), at_least=1)
            for name in results.floods
            if name != "me"
        ),
    ]


def _goals_of_me(results: Results, name: str) -> list[Goal]:
    def rate(other: str) -> float | None:
        return _ratio(results.me, name, other, _rate)

    return [
        Goal(f"{name}: me, x plain", rate(PLAIN), at_least=45),
        Goal(f"{name}: me, x mercurius", rate(MERCURIUS), at_least=1),
        Goal(f"{name}: me, x Apollo", rate(APOLLO), at_least=12),
        Goal(f"{name}: me, of constant", rate(CONSTANT), at_least=0.55),
        Goal(
            f"{name}: me p99, x mercurius",
            _ratio(results.me, name, MERCURIUS, _slowest),
            at_most=2,
        ),
    ]


def _ratio(
    found: Mapping[str, T], name: str, base: str, figure: Callable[[T], float]
) -> float | None:
    if name not in found or base not in found:
        return None
    return figure(found[name]) / figure(found[base])


def _rate(speed: Speed) -> float:
    return speed.per_second


def _slowest(measured: Speed | StormResult) -> float:
    return measured.p99


def _text(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{ratio:.3g}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.2f}"
