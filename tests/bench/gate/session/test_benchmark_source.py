"""Digests of benchmarks: what changes them, and what does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jacobench.bench.gate.session.benchmark_source import Sources, first_benchmark

MODULE = '''
"""Speed of sums."""
import math
import numpy as np

SIZES = [1, 2]
OTHER_SIZES = [3]
np.seterr(all="raise")

@pytest.fixture
def data():
    return list(range(10))

@pytest.fixture(autouse=True)
def quiet():
    return helper

def helper(values):
    """Sum them."""
    return math.fsum(values)  # exact

def other_helper():
    return OTHER_SIZES

class Base:
    def setup_method(self):
        self.n = 3

    def test_inherited(self, benchmark):
        benchmark(sum, [self.n])

class TestMine(Base):
    def test_one(self, benchmark):
        benchmark(sum, [self.n])

    def test_two(self, benchmark):
        benchmark(sum, [2])

class TestOther:
    def test_three(self, benchmark):
        benchmark(sum, [3])

@pytest.mark.parametrize("size", SIZES)
def test_sum(benchmark, data, size):
    benchmark(helper, data)

def test_other(benchmark):
    benchmark(other_helper)
'''

TESTS = [
    "test_sum",
    "test_other",
    "TestMine.test_one",
    "TestMine.test_two",
    "Base.test_inherited",
    "TestOther.test_three",
]

HARMLESS = {
    "a comment": ("# exact", "# the exact sum"),
    "formatting": ("math.fsum(values)", "math.fsum(\n        values,\n    )"),
    "a docstring": ('"""Sum them."""', '"""Add them."""'),
    "the module's docstring": ('"""Speed of sums."""', ""),
    "another test": ("benchmark(sum, [3])", "benchmark(sum, [4])"),
    "a helper of another test": ("return OTHER_SIZES", "return OTHER_SIZES * 2"),
    "a constant of another test": ("OTHER_SIZES = [3]", "OTHER_SIZES = [4]"),
    "a new test": ("def test_other(", "def test_new(benchmark):\n    pass\n\ndef test_other("),
    "a new class": ("class TestOther:", "class TestNew:\n    def test_new(self):\n        pass\n\nclass TestOther:"),
    "a new test with its imports": (
        "def test_other(",
        "import json\nNEW = 3\ndef test_new(benchmark):\n    json.loads(NEW)\n\ndef test_other(",
    ),
}

CHANGES = {
    "its body": ("benchmark(helper, data)", "benchmark(helper, data * 2)"),
    "its parameters": ("SIZES = [1, 2]", "SIZES = [1, 3]"),
    "a fixture": ("list(range(10))", "list(range(20))"),
    "a fixture of every test": ("return helper\n", "return None\n"),
    "a helper": ("return math.fsum(values)", "return sum(values)"),
    "an import": ("import math", "import cmath as math"),
    "a setting of the module": ('np.seterr(all="raise")', 'np.seterr(all="warn")'),
}


def item(path, name, fixtures=()):
    """Return what the digest needs of a test of pytest."""
    owner = {"TestMine.test_one": "TestMine", "TestMine.test_two": "TestMine", "TestOther.test_three": "TestOther"}
    owner["Base.test_inherited"] = "TestMine"
    cls = SimpleNamespace(__qualname__=owner[name]) if name in owner else None
    return SimpleNamespace(path=path, function=SimpleNamespace(__qualname__=name), cls=cls, fixturenames=fixtures)


def digest(folder, text, name="test_sum", conftest=""):
    path = Path(folder, "test_speed.py")
    path.write_text(text)
    (path.parent / "conftest.py").write_text(conftest)
    sources = Sources(path.parent, lambda _: False)
    names = [*TESTS, *(["test_new"] if "def test_new" in text else [])]
    if "class TestNew" in text:
        sources.add(SimpleNamespace(path=path, function=None, cls=SimpleNamespace(__qualname__="TestNew")))
    for each in names:
        sources.add(item(path, each))
    return sources.digest(item(path, name, ("benchmark", "data", "quiet")))


def changed(text, change):
    old, new = change
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize("kind", HARMLESS)
def test_a_benchmark_is_the_same_after_a_change_of_something_else(tmp_path, kind):
    assert digest(tmp_path, changed(MODULE, HARMLESS[kind])) == digest(tmp_path, MODULE)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_benchmark_differs_after_a_change_of(tmp_path, kind):
    assert digest(tmp_path, changed(MODULE, CHANGES[kind])) != digest(tmp_path, MODULE)


def test_methods_count_with_their_class_and_without_other_methods(tmp_path):
    before = digest(tmp_path, MODULE, "TestMine.test_one")
    assert digest(tmp_path, MODULE.replace("sum, [2]", "sum, [4]"), "TestMine.test_one") == before
    assert digest(tmp_path, MODULE.replace("self.n = 3", "self.n = 4"), "TestMine.test_one") != before


def test_an_inherited_method_counts_with_both_classes(tmp_path):
    before = digest(tmp_path, MODULE, "Base.test_inherited")
    inherited = MODULE.replace(
        "def test_inherited(self, benchmark):\n        benchmark(sum", "X\n        benchmark(max"
    )
    inherited = inherited.replace("X\n", "def test_inherited(self, benchmark):\n")
    assert digest(tmp_path, inherited, "Base.test_inherited") != before
    assert digest(tmp_path, MODULE.replace("self.n = 3", "self.n = 4"), "Base.test_inherited") != before
    assert digest(tmp_path, MODULE.replace("sum, [2]", "sum, [4]"), "Base.test_inherited") == before


def test_a_test_that_another_one_calls_counts(tmp_path):
    text = MODULE.replace("benchmark(helper, data)", "test_other(benchmark)")
    assert digest(tmp_path, text) != digest(tmp_path, text.replace("benchmark(other_helper)", "benchmark(int)"))


def test_a_decorated_test_is_known_by_its_name(tmp_path):
    text = "@decorated\ndef test_one(benchmark):\n    pass\n\n@decorated\ndef test_two(benchmark):\n    pass\n"

    def of_one(text):
        path = tmp_path / "test_speed.py"
        path.write_text(text)
        sources = Sources(tmp_path, lambda _: False)
        items = [
            SimpleNamespace(path=path, function=digest, cls=None, originalname=name, fixturenames=())
            for name in ("test_one", "test_two")
        ]
        for each in items:
            sources.add(each)
        return sources.digest(items[0])

    assert of_one(text) == of_one(text.replace("two(benchmark):\n    pass", "two(benchmark):\n    return 1"))
    assert of_one(text) != of_one(text.replace("one(benchmark):\n    pass", "one(benchmark):\n    return 1"))


def test_the_conftest_counts_without_its_comments(tmp_path):
    before = digest(tmp_path, MODULE, conftest="X = 1\n")
    assert digest(tmp_path, MODULE, conftest="# one\nX = 1\n") == before
    assert digest(tmp_path, MODULE, conftest="X = 2\n") != before


def test_a_file_that_is_not_python_counts_by_its_bytes(tmp_path):
    assert digest(tmp_path, "def (") == digest(tmp_path, "def (")
    assert digest(tmp_path, "def (") != digest(tmp_path, "def ((")


FILES = {
    "def test_x(benchmark): ...": "test_x",
    "import benchmark\n\ndef test_x(n): ...  # benchmark": "",
    "class TestA:\n    class TestB:\n        async def test_x(self, *, benchmark_weave): ...": "TestA.TestB.test_x",
    "if True:\n    def test_x(n, benchmark, /): ...": "test_x",
    "def outer():\n    def inner(benchmark): ...": "",
    "from benchmark import (\n": "",
    "def test_x(a,\n           benchmark): ...\nx = (": "test_x",
    "def benchmark(a): ...\nx = (": "",
    "# é\xe9 \x00 benchmark": "",
}


@pytest.mark.parametrize("text", FILES)
def test_a_file_has_benchmarks_if_a_function_requests_the_fixture(tmp_path, text):
    (tmp_path / "test_a.py").write_text(text, encoding="latin-1")
    (tmp_path / "test_a.txt").write_text(text, encoding="latin-1")
    assert first_benchmark(tmp_path / "test_a.py") == FILES[text]
    (tmp_path / ".#test_a.py").symlink_to("nobody@nowhere.1234")  # Emacs locks a file by such a link
    for other in ("test_a.txt", ".#test_a.py"):
        assert first_benchmark(tmp_path / other) == ""
