"""Phrases of `doctor`: each function with values whose truth is known."""

from __future__ import annotations

import pytest

from jacobench.bench.machine import doctor_sentences

SET = "'jacobench run' sets it for its workers, except with --controls asis"

CASES = [
    ("unreadable", ("OSError: no",), {}, "cannot be read on this machine: OSError: no"),
    ("other_load", (0.0, None, []), {}, "other processes use 0.00 cores"),
    (
        "other_load",
        (1.5, 2.0, [("make", 7, 150.0)]),
        {},
        "other processes use 1.50 cores, load average 2.00: make (process 7, 150 % of a core)",
    ),
    (
        "virtual_machine",
        (),
        {"is_virtual": True, "stolen": 1.06},
        "yes; other machines took 100.0% of the time (steal)",
    ),
    (
        "virtual_machine",
        (),
        {"is_virtual": False, "stolen": -0.01},
        "no; other machines took 0.0% of the time (steal)",
    ),
    ("kernel", ("Haswell", "", 1.0), {"is_set": False}, "Haswell; no other kernel is 3% faster or more"),
    (
        "kernel",
        ("Haswell", "SkylakeX", 1.5),
        {"is_set": True},
        "Haswell (set by the environment); SkylakeX is 1.50× as fast",
    ),
    ("kernel_fix", ("SkylakeX",), {"is_set": True}, f"unset OPENBLAS_CORETYPE; {SET}"),
    ("kernel_fix", ("SkylakeX",), {"is_set": False}, f"export OPENBLAS_CORETYPE=SkylakeX; {SET}"),
    ("threads", (1, 1), {}, "1 by default, 1 core usable"),
    ("threads", (2, 2), {}, "2 by default, 2 cores usable"),
    ("quota", (1.0,), {}, "1 core"),
    ("quota", (0.5,), {}, "0.5 cores"),
    ("replaced_malloc", ("libjemalloc.so.2",), {}, "thresholds have no effect: libjemalloc.so.2 replaces malloc"),
    ("malloc_gain", (1.5,), {}, "with thresholds set, filling a new array of 64 MiB is 1.50× as fast"),
    ("distorting", ([],), {}, "none"),
    ("distorting", ([("MALLOC_PERTURB_", "fills memory")],), {}, "MALLOC_PERTURB_ fills memory"),
    (
        "unset",
        (["A", "B"],),
        {},
        "unset A B; 'jacobench run' unsets them for its workers, except with --controls asis",
    ),
    ("swap", (0.5 * 2**30,), {}, "0.5 GiB in use"),
    ("on_battery", (None,), {}, "on battery power"),
    ("on_battery", (7.0,), {}, "on battery power, 7 % left"),
    ("timer", (40e-9,), {}, "resolution 40 ns, including the read"),
    ("memory_limit", (2.0**31, 2.0**31), {}, "2.0 GiB"),
    ("memory_limit", (2.0**30, 2.0**31), {}, "1.0 GiB of 2.0 GiB, by a control group or a resource limit"),
    (
        "noise",
        (1.27, 0.05, 0.01),
        {},
        "a factor of 2.27 within a process, ±5.0% between processes, ±1.0% in paired ratios",
    ),
    ("variable_sentences", ({},), {}, []),
    (
        "variable_sentences",
        ({"unset": ["A", "B"], "kept": ["C"], "preloaded_allocator": "libjemalloc.so.2"},),
        {},
        [
            "The measuring processes do not get these variables, which distort times: A, B.",
            "The measuring processes get these variables, which may change times: C.",
            "The thresholds of malloc have no effect, because libjemalloc.so.2 replaces malloc.",
        ],
    ),
    ("variable_sentences", ({"kept": ["C"]},), {"with_kept": False}, []),
]
"""Function, its arguments, and what it returns."""


def test_every_function_has_a_case(sentence_names):
    assert {name for name, *_ in CASES} == sentence_names(doctor_sentences)


@pytest.mark.parametrize(("name", "arguments", "named", "expected"), CASES)
def test_a_phrase_states_its_values(name, arguments, named, expected, sentence_flaws):
    assert getattr(doctor_sentences, name)(*arguments, **named) == expected
    text = expected if isinstance(expected, str) else " ".join(expected)
    assert [flaw for flaw in sentence_flaws(text) if "% of a core" not in expected] == []
