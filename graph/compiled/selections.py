"""Compiles selection sets: fields run concurrently, or serially in a mutation.

https://spec.graphql.org/September2025/#sec-Executing-Selection-Sets
"""

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from graph.compiled.fields import RunField
from graph.compiled.runs import Path, Run, await_entries, finish_in_background

# Takes an object. Returns its completed fields, or a coroutine of them. It has the signature of
# `Complete`, so the last argument is unused.
RunSelection = Callable[[Any, Run, Any, Any], Any]


def parallel_selection(fields: dict[str, RunField]) -> RunSelection:
    """Starts the fields in order, and awaits them concurrently."""
    items = tuple(fields.items())

    def run_parallel(source: Any, run: Run, path: Path | None, _info: object) -> Any:
        results: dict[str, Any] = {}
        awaited: list[str] = []
        try:
            for key, run_field in items:
                value = results[key] = run_field(source, run, path)
                if type(value) is CoroutineType:
                    awaited.append(key)
        except Exception:
            # Null propagates at once, without waiting for the other fields.
            if awaited:
                finish_in_background([results[key] for key in awaited])
            raise
        return await_entries(results, awaited) if awaited else results

    return run_parallel


def serial_selection(fields: dict[str, RunField]) -> RunSelection:
    """Awaits each field before it starts the next."""
    items = tuple(fields.items())

    async def run_serially(source: Any, run: Run, path: Path | None, _info: object) -> Any:
        results: dict[str, Any] = {}
        for key, run_field in items:
            value = run_field(source, run, path)
            results[key] = await value if type(value) is CoroutineType else value
        return results

    return run_serially
