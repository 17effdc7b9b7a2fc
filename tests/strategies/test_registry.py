"""Strategies by registered name, in a file and in a module, and the errors if there is none."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.mlp import mlp
from jacobench.strategies import registry

BUILT_IN = {"dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator"}

PLUGIN = """
import dataclasses

@dataclasses.dataclass
class Prepared:  # a dataclass needs its module to be registered
    graph: "object"

    def linearize(self, leaves):
        raise RuntimeError("not today")

class Mine:
    name = "mine"

    def prepare(self, graph):
        return Prepared(graph)

class Nameless:
    def prepare(self, graph): ...

class Unprepared:
    name = "unprepared"

def broken():
    raise OSError("no licence found")

def demanding(number): ...

def factory():
    return Mine()

limit = 3
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "my plugin.py"
    path.write_text(PLUGIN)
    return path


def test_ours_are_registered_and_carry_their_names():
    assert set(registry.registered()) >= BUILT_IN
    for name in BUILT_IN:
        strategy = registry.load(name)
        assert strategy.name == name
        assert callable(strategy.prepare)
    assert registry.REFERENCE in registry.DEFAULT_STRATEGIES
    assert set(registry.DEFAULT_STRATEGIES) <= BUILT_IN


def entries(*pairs):
    return tuple(EntryPoint(name, value, registry.GROUP) for name, value in pairs)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that entry points are installed."""

    def install(*pairs):
        monkeypatch.setattr(registry, "entry_points", lambda group: entries(*pairs) if group == registry.GROUP else ())
        registry.registered.cache_clear()

    yield install
    monkeypatch.undo()
    registry.registered.cache_clear()


def test_a_plugins_entry_point_is_found_and_listed_after_ours(installed):
    installed(("a-peer", "peer_package:Peer"), ("vjp", "jacobench.strategies.vjp:vjp"))
    assert list(registry.registered()) == ["vjp", "a-peer"]
    assert registry.check("a-peer") == "a-peer"
    with pytest.raises(ModuleNotFoundError, match="peer_package"):
        registry.load("a-peer")
    assert registry.load("vjp").name == "vjp"


@pytest.mark.parametrize("theirs_first", [True, False])
def test_a_plugin_cannot_take_the_reference_s_name(installed, theirs_first):
    pairs = [("vjp", "aaa_peer:vjp"), ("vjp", "jacobench.strategies.vjp:vjp")]
    installed(*(pairs if theirs_first else pairs[::-1]))
    assert registry.registered()["vjp"].value == "jacobench.strategies.vjp:vjp"


def test_a_class_or_a_factory_in_a_file(plugin):
    for name in ("Mine", "factory"):
        strategy = registry.load(f"{plugin}:{name}")
        assert strategy.name == "mine"
        with pytest.raises(RuntimeError, match="not today"):
            strategy.prepare(None).linearize({})


def test_a_file_is_imported_once_and_under_no_name_that_others_use(plugin, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / plugin.name).write_text(PLUGIN.replace('"mine"', '"theirs"'))
    first, again = (type(registry.load(f"{plugin}:Mine")) for _ in range(2))
    assert first is again
    assert registry.load(f"{other / plugin.name}:Mine").name == "theirs"
    (tmp_path / "json.py").write_text(PLUGIN)
    assert registry.load(f"{tmp_path / 'json.py'}:Mine").name == "mine"
    import json

    assert json.loads("3") == 3


def test_a_relative_path_is_relative_to_here_and_can_be_made_absolute(plugin, monkeypatch, tmp_path):
    monkeypatch.chdir(plugin.parent)
    assert registry.load(f"{plugin.name}:Mine").name == "mine"
    absolute = registry.absolute(f"{plugin.name}:Mine")
    monkeypatch.chdir("/")
    assert absolute == f"{plugin.resolve()}:Mine"
    assert registry.check(absolute) == absolute
    assert registry.absolute("vjp") == "vjp"
    assert registry.absolute("jacobench.strategies.vjp:vjp") == "jacobench.strategies.vjp:vjp"


def test_a_class_in_a_module(plugin, monkeypatch):
    plugin.rename(plugin.parent / "my_module_of_strategies.py")
    monkeypatch.syspath_prepend(plugin.parent)
    assert registry.load("my_module_of_strategies:Mine").name == "mine"
    assert registry.load("jacobench.strategies.dense:dense").name == "dense"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("vpj", "unknown strategy 'vpj': expected one of .*; did you mean 'vjp'"),
        ("dense_blocks", "did you mean 'dense-blocks'"),
        ("", "unknown strategy '': expected one of"),
        ("nowhere.py:Mine", "strategy 'nowhere.py:Mine': there is no file nowhere.py"),
        (".py:Mine", "there is no file .py"),
        ("{broken}:Mine", "line 2 of .*broken.py is not Python: "),
        ("{plugin}:Other", "unknown strategy in .*my plugin.py 'Other': expected one of .*Mine"),
        ("{plugin}:", "expected a name, path/to/file.py:ClassName or package.module:ClassName"),
        ("{plugin}:3", "expected a name, path/to/file.py:ClassName"),
        (":Mine", "expected a name, path/to/file.py:ClassName"),
        ("{folder}:Mine", "there is no file .*folder.py"),
    ],
)
def test_what_cannot_be_looked_for_is_named_without_importing(plugin, spec, message):
    folder = plugin.parent / "folder.py"
    folder.mkdir()
    broken = plugin.parent / "broken.py"
    broken.write_text("# a comment\ndef (:\n")
    for take in (registry.check, registry.load):
        with pytest.raises(BadInput, match=message) as caught:
            take(spec.format(plugin=plugin, folder=folder, broken=broken))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mein", "unknown strategy in .*my plugin.py 'Mein': expected one of .*Mine.*; did you mean 'Mine'"),
        ("Nameless", "'.*my plugin.py:Nameless' has no 'name': expected a name and a method prepare"),
        ("Unprepared", "'.*my plugin.py:Unprepared' has no 'prepare'"),
    ],
)
def test_what_is_no_strategy_is_named(plugin, name, message):
    with pytest.raises(BadInput, match=message):
        registry.load(f"{plugin}:{name}")


@pytest.mark.parametrize(
    "error",
    [("broken", OSError, "no licence found"), ("demanding", TypeError, "number"), ("limit", TypeError, "callable")],
)
def test_what_a_factory_raises_goes_through(plugin, error):
    name, kind, message = error
    with pytest.raises(kind, match=message):
        registry.load(f"{plugin}:{name}")


def test_a_file_that_fails_to_import_is_tried_anew(plugin):
    plugin.write_text("raise ValueError('half written')\nMine = None\n")
    with pytest.raises(ValueError, match="half written"):
        registry.load(f"{plugin}:Mine")
    plugin.write_text(PLUGIN)
    assert registry.load(f"{plugin}:Mine").name == "mine"


def test_listing_imports_no_strategy():
    script = """
import sys
from jacobench.strategies import registry
assert "vjp" in registry.registered()
registry.check("dense")
print(sorted(name for name in sys.modules if name.startswith("jacobench.strategies.")))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['jacobench.strategies.plugin_files', 'jacobench.strategies.registry']\n"


def test_a_plugin_need_not_import_anything_of_ours(tmp_path):
    """The fifteen lines of a strategy: the gradient of a sum, by broadcasting."""
    path = tmp_path / "ones.py"
    path.write_text("""
import numpy as np

class Ones:
    name = "ones"
    def prepare(self, graph):
        self.graph = graph
        return self
    def linearize(self, leaves):
        self.output = sum(leaves.values())
        return self
    def pullback(self, seeds):
        return {name: np.array(seeds) for name in self.graph.wrt}
""")
    from jacobench.bench.cell.verification import verify
    from jacobench.graphs.builder import GraphBuilder

    g = GraphBuilder()
    graph = g.build(g.add(g.input("x", (2, 3)), g.parameter("p", (2, 3))))
    leaves, seeds = graph.sample(0), np.ones((2, 2, 3))
    reference = registry.load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    finding = verify(graph, registry.load(f"{path}:Ones").prepare(graph), leaves, seeds, reference)
    assert finding.breach == ""
    wrong_graph, wrong_leaves = mlp([3, 3], batch=3, loss=None)
    with pytest.raises(ValueError, match="broadcast"):
        registry.load(f"{path}:Ones").prepare(wrong_graph).linearize({**wrong_leaves, "x": np.ones((2, 2))})
