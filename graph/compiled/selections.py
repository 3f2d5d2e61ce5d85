"""Selection sets: fields side by side, or for a mutation one after the other.

https://spec.graphql.org/September2025/#sec-Executing-Selection-Sets
"""

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from graph.compiled.fields import RunField
from graph.compiled.runs import Path, Run, fill_in, settle

# From an object to the completed fields, or to a coroutine that returns them. Called as what
# completes a value is: the last argument is of no interest here.
RunSelection = Callable[[Any, Run, Any, Any], Any]


def side_by_side(fields: dict[str, RunField]) -> RunSelection:
    """Starts each field in its turn; those that must be awaited are awaited together."""
    items = tuple(fields.items())

    def run_side_by_side(source: Any, run: Run, path: Path | None, _info: object) -> Any:
        results: dict[str, Any] = {}
        awaited: list[str] = []
        try:
            for key, run_field in items:
                value = results[key] = run_field(source, run, path)
                if type(value) is CoroutineType:
                    awaited.append(key)
        except Exception:
            # Null goes upwards and waits for nobody.
            if awaited:
                settle([results[key] for key in awaited])
            raise
        return fill_in(results, awaited) if awaited else results

    return run_side_by_side


def one_after_the_other(fields: dict[str, RunField]) -> RunSelection:
    """Awaits each field before the next begins."""
    items = tuple(fields.items())

    async def run_one_after_the_other(
        source: Any, run: Run, path: Path | None, _info: object
    ) -> Any:
        results: dict[str, Any] = {}
        for key, run_field in items:
            value = run_field(source, run, path)
            results[key] = await value if type(value) is CoroutineType else value
        return results

    return run_one_after_the_other
