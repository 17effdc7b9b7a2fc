"""Memory of what the fixture of pytest-benchmark calls.

`benchmark_plugin` imports this file in the environment of a side.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def measure_calls(heap_memory: Any, note: Callable[[Any], None]) -> None:
    """Let the fixture measure the memory of each function that it is given, and `note` it.

    It calls the function once before only where pytest-benchmark would call it several times. The parameters have the
    names that they have in pytest-benchmark, because a suite may use them.
    """
    from pytest_benchmark.fixture import BenchmarkFixture  # noqa: PLC0415  (pytest warns if it was imported before its session)

    heap_memory.import_tool()

    def measured(fixture: Any, function: Callable[..., Any], *, often: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = perf_counter()
            results = [function(*arguments, **named)] if often else []
            seconds = perf_counter() - start

            def once() -> None:
                results[:] = [function(*arguments, **named)]

            note(heap_memory.measure(once))
            fixture._make_stats(1).update(seconds)  # noqa: SLF001  (the test may read them)
            return results[0]

        return call

    fixture_class: Any = BenchmarkFixture
    plain, pedantic = fixture_class.__call__, fixture_class.pedantic

    def call_measured(fixture: Any, /, function_to_benchmark: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return plain(fixture, measured(fixture, function_to_benchmark, often=True), *arguments, **named)

    def pedantic_measured(fixture: Any, /, target: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return pedantic(fixture, measured(fixture, target, often=False), *arguments, **named)

    fixture_class.__call__, fixture_class.pedantic = call_measured, pedantic_measured
