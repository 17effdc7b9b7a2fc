"""Suite files: the cases that they expand to, and the errors of invalid files."""

from math import log2

import numpy as np
import pytest

from jacobench.bench.gate.gate_config import read_table
from jacobench.bench.gate.sides import write_cases
from jacobench.bench.gate.trees.revisions import Project
from jacobench.bench.suites.case import Case, build, problem_of, select_cases
from jacobench.bench.suites.suite_files import load_suite, suite_names
from jacobench.graphs.architectures import ARCHITECTURES
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.ops import OPS

COLUMNS = {
    "graph",
    "depth",
    "width",
    "batch",
    "n_seeds",
    "activation",
    "loss",
    "residual",
    "normalization",
    "weight_density",
    "dtype",
    "wrt",
    "task",
}

GRAPH_FILE = """
from __future__ import annotations
from dataclasses import dataclass
from jacobench.graphs.generators.mlp import mlp_graph

@dataclass
class Size:
    width: int

def make_graph(width, batch=1, activation="relu"):
    return mlp_graph([Size(width).width, 2], batch=batch, activation=activation)

def seeded(rng_seed, *, hidden):
    return mlp_graph([4, *hidden, 1], weight_density=0.5, rng_seed=rng_seed)

def not_a_graph():
    return 3
"""


@pytest.fixture
def suite_of(tmp_path):
    """Return a function from the text of a suite file to the suite."""
    (tmp_path / "mine.py").write_text(GRAPH_FILE)

    def load(text):
        (tmp_path / "my.toml").write_text(text)
        return load_suite(str(tmp_path / "my.toml"))

    return load


def names(suite):
    return [case.name for case in suite.cases]


# ---- the suites that come with the package


def test_these_suites_come_with_the_package():
    assert suite_names() == (
        "architectures",
        "claims",
        "crossover",
        "gate",
        "models",
        "peers",
        "scaling",
        "smoke",
        "standard",
    )


@pytest.mark.parametrize("name", [name for name in suite_names() if name != "models"])
def test_cases_of_packaged_suites_build_and_describe_their_graphs(name):
    suite = load_suite(name)
    assert suite.name == name
    assert len(set(names(suite))) == len(suite.cases)
    for case in suite.cases:
        graph = case.make()
        assert "vjp" in case.strategies
        assert case.knobs["dtype"] == graph.dtype.name
        assert case.knobs.keys() <= COLUMNS
        if case.knobs.keys() < COLUMNS:  # a chain, or single ops: what is no knob of theirs is missing
            continue
        affine = [node for node in graph.nodes if node.op.name.endswith("affine")]
        assert case.strategies == ("dense", "sparse", "vjp") or name in {"peers", "claims"}
        assert case.knobs["depth"] == len(affine)
        assert case.knobs["batch"] == graph.leaves["x"].shape[0]
        assert case.knobs["width"] == max(shape[-1] for shape in (graph.leaves["x"].shape, *(n.shape for n in affine)))
        assert (case.knobs["weight_density"] < 1) == all(node.op.name == "masked_affine" for node in affine)


@pytest.mark.models
def test_the_suite_of_models_can_be_imported():
    suite = load_suite("models")
    assert len(suite.cases) == 12
    for case in suite.cases:
        graph, leaves = build(case)
        assert graph.origin is not None
        assert leaves.keys() == graph.leaves.keys()


def test_smoke_is_small():
    assert len(load_suite("smoke").cases) <= 4
    assert all(case.make().n_parameters < 1000 for case in load_suite("smoke").cases)


def test_standard_has_the_promised_ranges():
    suite = load_suite("standard")
    mlps = [case.knobs for case in suite.cases if case.knobs["graph"] == "mlp"]
    assert len(suite.cases) <= 24
    for knob, low, high in [("width", 16, 256), ("depth", 1, 16), ("batch", 1, 64)]:
        values = {knobs[knob] for knobs in mlps}
        assert (min(values), max(values)) == (low, high)
    assert len({knobs["weight_density"] for knobs in mlps}) >= 4
    assert len({case.knobs["graph"] for case in suite.cases} & ARCHITECTURES.keys()) == 2


@pytest.mark.parametrize("knob", ["width", "depth", "batch", "weight_density"])
def test_scaling_sweeps_each_knob_alone_over_five_octaves(knob):
    others = COLUMNS - {knob}
    groups: dict[tuple, set] = {}
    for case in load_suite("scaling").cases:
        groups.setdefault(tuple(case.knobs[key] for key in sorted(others)), set()).add(case.knobs[knob])
    values = max(groups.values(), key=len)
    assert len(values) >= 6
    assert log2(max(values) / min(values)) >= 5


def test_architectures_has_the_whole_catalogue():
    assert [case.knobs["graph"] for case in load_suite("architectures").cases] == list(ARCHITECTURES)


# ---- what a file expands to


def test_lists_give_their_product_the_last_written_fastest(suite_of):
    suite = suite_of('[[sweep]]\ngraph="mlp"\nbatch=[1, 2]\ndepth=3\nwidth=[8, 4]')
    assert suite.name == "my"
    assert names(suite) == ["mlp-w8-d3-b1", "mlp-w4-d3-b1", "mlp-w8-d3-b2", "mlp-w4-d3-b2"]


@pytest.mark.parametrize("widths", ["[6, 4, 3]", "[[6, 4, 3]]"])
def test_widths_are_one_network_or_a_list_of_networks(suite_of, widths):
    (case,) = suite_of(f'[[sweep]]\ngraph="mlp"\nwidths={widths}').cases
    assert case.name == "mlp-6x4x3-b1"
    assert (case.knobs["width"], case.knobs["depth"]) == (6, 2)
    assert [case.make().leaves[name].shape for name in ("W1", "W2")] == [(4, 6), (3, 4)]


def test_the_task_jacobian_has_no_seeds_and_verifies_every_row(suite_of):
    suite = suite_of(
        '[[sweep]]\ngraph="mlp"\nwidth=4\ndepth=2\nbatch=[1, 3]\nloss="none"\ntask="jacobian"\n'
        '[[sweep]]\ngraph="architecture"\nname="pinn"\nbatch=2\nloss="none"\ntask=["gradient", "jacobian"]'
    )
    assert [(case.name, case.task, case.knobs["n_seeds"]) for case in suite.cases] == [
        ("mlp-w4-d2-b1-noloss-jacobian", "jacobian", None),
        ("mlp-w4-d2-b3-noloss-jacobian", "jacobian", None),
        ("pinn-b2-noloss", "gradient", 1),
        ("pinn-b2-noloss-jacobian", "jacobian", None),
    ]
    point = problem_of(suite.cases[1], 2**31)
    np.testing.assert_array_equal(point.seeds.reshape(12, 12), np.eye(12))
    assert point.seeds.shape == (12, 3, 4)
    assert point.reference["W1"].shape == (12, 4, 4)


def test_every_knob_of_a_perceptron_reaches_graph_name_and_row(suite_of):
    (case,) = suite_of(
        '[[sweep]]\ngraph="mlp"\nwidth=4\ndepth=3\nbatch=2\nactivation="gelu"\nloss="none"\nresidual=true\n'
        'normalization="layer_norm"\nweight_density=0.5\ndtype="float32"\nrng_seed=7\nn_seeds=5\nstrategies=["vjp"]'
    ).cases
    assert case.name == "mlp-w4-d3-b2-gelu-noloss-residual-layer_norm-density0.5-float32-rng7-seeds5"
    assert case.knobs == {
        "graph": "mlp",
        "depth": 3,
        "width": 4,
        "batch": 2,
        "n_seeds": 5,
        "activation": "gelu",
        "loss": None,
        "residual": True,
        "normalization": "layer_norm",
        "weight_density": 0.5,
        "dtype": "float32",
        "wrt": "parameters",
        "task": "gradient",
    }
    assert case.strategies == ("vjp",)
    assert case.rng_seed == 7
    graph, leaves = build(case)
    assert graph.output_shape == (2, 4)
    assert {node.op.name for node in graph.nodes} == {"masked_affine", "layer_norm", "gelu", "add"}
    assert leaves["W1"].shape == (8,)
    assert leaves["W1"].dtype == np.float32
    again = build(case)[1]
    assert all(np.array_equal(leaves[name], again[name]) for name in leaves)


def test_an_architecture_keeps_its_own_batch_and_loss_unless_given(suite_of):
    suite = suite_of(
        '[[sweep]]\ngraph="architecture"\nname=["lenet-300-100", "pinn"]\nloss=["default", "none"]\n'
        '[[sweep]]\ngraph="architecture"\nname="pinn"\nbatch=3\nloss="mse"'
    )
    assert names(suite) == [
        "lenet-300-100-b32",
        "lenet-300-100-b32-noloss",
        "pinn-b32",
        "pinn-b32-noloss",
        "pinn-b3",
    ]
    assert [case.knobs["loss"] for case in suite.cases] == ["cross_entropy", None, "mse", None, "mse"]
    assert suite.cases[1].make().output_shape == (32, 10)
    assert suite.cases[4].make().leaves["x"].shape == (3, 2)


def test_a_case_in_two_sweeps_is_there_once_with_the_strategies_of_both(suite_of):
    suite = suite_of(
        '[[sweep]]\ngraph="mlp"\nwidth=[4, 8]\ndepth=1\nstrategies=["dense", "vjp"]\n'
        '[[sweep]]\ngraph="mlp"\nwidths=[[8, 8], [8, 8]]\nstrategies=["vjp", "sparse"]'
    )
    assert names(suite) == ["mlp-w4-d1-b1", "mlp-w8-d1-b1"]
    assert suite.cases[1].strategies == ("dense", "vjp", "sparse")


# ---- graphs from user files


def test_a_function_in_a_file_takes_the_other_keys(suite_of, tmp_path):
    suite = suite_of(
        '[[sweep]]\ngraph="mine.py:make_graph"\nwidth=[3, 5]\nbatch=2\nn_seeds=2\nstrategies=["vjp", "mine.py:Size"]'
    )
    assert names(suite) == ["mine.make_graph-width3-batch2-seeds2", "mine.make_graph-width5-batch2-seeds2"]
    case = suite.cases[1]
    assert case.knobs == {"graph": "mine.py:make_graph", "width": 5, "batch": 2, "n_seeds": 2, "task": "gradient"}
    assert case.strategies == ("vjp", f"{tmp_path / 'mine.py'}:Size")
    assert build(case)[0].leaves["W1"].shape == (2, 5)


def test_a_function_that_takes_rng_seed_gets_it_and_lists_are_swept(suite_of):
    suite = suite_of('[[sweep]]\ngraph="mine.py:seeded"\nhidden=[[3, 2], [2]]\nrng_seed=[0, 1]')
    assert names(suite) == [
        "mine.seeded-hidden3x2",
        "mine.seeded-hidden3x2-rng1",
        "mine.seeded-hidden2",
        "mine.seeded-hidden2-rng1",
    ]
    assert [case.rng_seed for case in suite.cases] == [0, 1, 0, 1]
    assert "W3" in suite.cases[1].make().leaves


def test_what_is_no_graph_is_named(suite_of):
    (case,) = suite_of('[[sweep]]\ngraph="mine.py:not_a_graph"').cases
    with pytest.raises(BadInput, match=r"case 'mine.not_a_graph': expected .* a Graph or \(Graph, leaves\), got int"):
        build(case)


# ---- bad input

MLP = '[[sweep]]\ngraph="mlp"\n'
SMALL = MLP + "width=4\ndepth=1\n"
CHAIN = '[[sweep]]\ngraph="chain"\n'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["$.sweep: expected at least one table [[sweep]]"]),
        ("sweep = []", ["$.sweep: expected at least one"]),
        ('[sweep]\ngraph="mlp"', ["$.sweep: expected at least one", "double brackets"]),
        ("[[sweeps]]", ["$.sweeps: unknown key 'sweeps'", "did you mean 'sweep'"]),
        ("[[sweep]]\nwidth=3,\ndepth=1", ["not TOML: ", "line 2"]),
        (
            "[[sweep]]\nwidth=3",
            ["$.sweep[0]: expected `graph`, one of mlp, architecture, op, chain, model, file.py:make_graph"],
        ),
        ('[[sweep]]\ngraph="mlpp"', ["$.sweep[0].graph: unknown generator 'mlpp'", "did you mean 'mlp'"]),
        ("[[sweep]]\ngraph=3", ["$.sweep[0].graph: unknown generator 3"]),
        (SMALL + MLP + "width=0\ndepth=1", ["$.sweep[1].width: expected `int` >= 1, got 0"]),
        (MLP + "width=[4, -2]\ndepth=1", ["$.sweep[0].width[1]: expected `int` >= 1, got -2"]),
        (MLP + "width=[]\ndepth=1", ["$.sweep[0].width: expected `array` of length >= 1, got []"]),
        (MLP + 'width="4"\ndepth=1', ["$.sweep[0].width: expected `int | array`, got `str`"]),
        (MLP + "width=4.0\ndepth=1", ["$.sweep[0].width: expected `int | array`, got `float`"]),
        (MLP + "width=true\ndepth=1", ["$.sweep[0].width: expected `int | array`, got `bool`"]),
        (MLP + "width=4\ndepth=0", ["$.sweep[0].depth: expected `int` >= 1, got 0"]),
        (MLP + "width=4", ["$.sweep[0]: expected either `width` and `depth`, or `widths`, got `width`"]),
        (MLP, ["$.sweep[0]: expected either `width` and `depth`, or `widths`, got neither"]),
        (MLP + "width=4\nwidths=[[4, 4]]", ["$.sweep[0]: expected either", "got `width` and `widths`"]),
        (MLP + "widths=[]", ["$.sweep[0].widths: expected `array` of length >= 1, got []"]),
        (MLP + "widths=[4]", ["$.sweep[0].widths: expected a list of at least two widths", "got [4]"]),
        (MLP + "widths=[4, [4, 3]]", ["$.sweep[0].widths: expected a list of at least two widths", "got 4"]),
        (MLP + "widths=[[4]]", ["$.sweep[0].widths[0]: expected `array` of length >= 2, got [4]"]),
        (MLP + "widths=[[4, 0]]", ["$.sweep[0].widths[0][1]: expected `int` >= 1, got 0"]),
        (SMALL + "batch=0", ["$.sweep[0].batch: expected `int` >= 1, got 0"]),
        (SMALL + 'task="hessian"', ["$.sweep[0].task: unknown task 'hessian'", "gradient, jacobian"]),
        (SMALL + 'task="jacobian"\nn_seeds=1', ["$.sweep[0].n_seeds: the whole Jacobian has no seeds: remove n_seeds"]),
        (
            SMALL + 'seeds="identity"',
            ['$.sweep[0].seeds: this key was removed: for the whole Jacobian, write task = "jacobian"'],
        ),
        (SMALL + "n_seeds=[1, 0]", ["$.sweep[0].n_seeds[1]: expected `int` >= 1, got 0"]),
        (SMALL + "rng_seed=-1", ["$.sweep[0].rng_seed: expected `int` >= 0, got -1"]),
        (SMALL + "weight_density=0", ["$.sweep[0].weight_density: expected `float` > 0.0, got 0"]),
        (SMALL + "weight_density=[0.5, 1.5]", ["$.sweep[0].weight_density[1]: expected `float` <= 1.0, got 1.5"]),
        (SMALL + "weight_density=nan", ["$.sweep[0].weight_density: expected `float` > 0.0, got nan"]),
        (SMALL + "residual=1", ["$.sweep[0].residual: expected `bool | array`, got `int`"]),
        (SMALL + 'activation="tanhh"', ["$.sweep[0].activation: unknown activation 'tanhh'", "did you mean 'tanh'"]),
        (SMALL + 'activation=["tanh", "rel"]', ["$.sweep[0].activation[1]: unknown activation 'rel'", "'relu'"]),
        (SMALL + 'loss="msee"', ["$.sweep[0].loss: unknown loss 'msee'", "none", "did you mean 'mse'"]),
        (SMALL + 'normalization="layernorm"', ["unknown normalization 'layernorm'", "did you mean 'layer_norm'"]),
        (SMALL + 'dtype="float16"', ["$.sweep[0].dtype: unknown dtype 'float16'", "float32, float64"]),
        (SMALL + "weigth_density=0.5", ["$.sweep[0].weigth_density: unknown key", "did you mean 'weight_density'"]),
        (SMALL + "strategies=[]", ["$.sweep[0].strategies: expected `array` of length >= 1, got []"]),
        (SMALL + 'strategies="vjp"', ["$.sweep[0].strategies: expected `array`, got `str`"]),
        (SMALL + 'strategies=["vjp", "denze"]', ["$.sweep[0].strategies[1]: unknown strategy 'denze'", "'dense'"]),
        (SMALL + 'strategies=["gone.py:Mine"]', ["$.sweep[0].strategies[0]: ", "there is no file", "gone.py"]),
        ('[[sweep]]\ngraph="architecture"\nname="lenet"', ["$.sweep[0].name: unknown architecture 'lenet'"]),
        ('[[sweep]]\ngraph="architecture"\nwidth=3', ["$.sweep[0].width: unknown key 'width'"]),
        (CHAIN + 'ops=["neg"]', ["$.sweep[0]: object missing required field `size`"]),
        (CHAIN + "size=6\nops=[]", ["$.sweep[0].ops: expected `array` of length >= 1, got []"]),
        (CHAIN + "size=6\nops=[[]]", ["$.sweep[0].ops[0]: expected `array` of length >= 1, got []"]),
        (CHAIN + 'size=6\nops=["neg", ["flip"]]', ["$.sweep[0].ops: expected a list of links for each chain, got neg"]),
        (CHAIN + 'size=6\nops=["negg"]', ["$.sweep[0]: unknown link 'negg'", "did you mean 'neg'"]),
        (CHAIN + 'size=[6, 7]\nops=["cross"]', ["$.sweep[0]: size is 7: expected a multiple of 3"]),
        (CHAIN + 'width=6\nops=["neg"]', ["$.sweep[0].width: unknown key"]),
        ('[[sweep]]\ngraph="gone.py:make"', ["$.sweep[0].graph: expected file.py:function", "gone.py"]),
        ('[[sweep]]\ngraph="mine.py:make_grap"', ["$.sweep[0].graph: unknown function", "did you mean 'make_graph'"]),
        ('[[sweep]]\ngraph="mine.py:make_graph"', ["$.sweep[0]: ", "missing required field `width`"]),
        ('[[sweep]]\ngraph="mine.py:make_graph"\nwidth=3\nbach=2', ["$.sweep[0].bach: unknown key", "'batch'"]),
        ('[[sweep]]\ngraph="mine.py:make_graph"\nwidth=[]', ["$.sweep[0].width: expected `array` of length >= 1"]),
    ],
)
def test_a_bad_file_gets_one_line(suite_of, text, parts):
    with pytest.raises(BadInput) as caught:
        suite_of(text)
    message = str(caught.value)
    assert "my.toml: " in message
    for part in parts:
        assert part in message
    assert "\n" not in message


def test_a_graph_file_that_fails_is_named_with_its_error(suite_of, tmp_path):
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    with pytest.raises(
        BadInput, match=r"my.toml: \$.sweep\[0\].graph: .*broken.py fails to import: ModuleNotFoundError"
    ):
        suite_of('[[sweep]]\ngraph="broken.py:make"')


def test_different_cases_do_not_share_a_name(suite_of, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.py").write_text(GRAPH_FILE)
    with pytest.raises(BadInput, match=r"\$.sweep\[1\]: another case already has the name 'mine.make_graph-width3'"):
        suite_of('[[sweep]]\ngraph="mine.py:make_graph"\nwidth=3\n[[sweep]]\ngraph="sub/mine.py:make_graph"\nwidth=3')


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("smoek", "unknown suite 'smoek': expected one of .*; did you mean 'smoke'"),
        ("no/such.toml", "no/such.toml: cannot be read: No such file"),
        ("./", "cannot be read"),
    ],
)
def test_a_suite_that_is_not_there_is_named(given, part):
    with pytest.raises(BadInput, match=part) as caught:
        load_suite(given)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"binary.toml: expected UTF-8 text"):
        load_suite(str(tmp_path / "binary.toml"))


# ---- selection


def test_globs_select_whole_names_in_the_order_of_the_suite():
    suite = load_suite("standard")
    chosen = select_cases(suite, ["pinn-*", "mlp-w256-*"])
    assert names(chosen) == ["mlp-w256-d2-b1", "pinn-b16"]
    assert chosen.name == "standard"
    assert names(select_cases(suite, ["mlp-w64-d2-b1"])) == ["mlp-w64-d2-b1"]
    assert select_cases(suite, []) == suite


def test_a_glob_that_matches_nothing_lists_names():
    message = r"no case of suite 'standard' matches 'mlp-w16-d2-b2'; it has mlp-w16-d2-b1, .* in total\); did you mean"
    with pytest.raises(BadInput, match=message):
        select_cases(load_suite("standard"), ["mlp-*", "mlp-w16-d2-b2"])


def test_a_case_is_frozen():
    case = load_suite("smoke").cases[0]
    assert isinstance(case, Case)
    with pytest.raises(AttributeError):
        case.name = "other"


def test_an_op_alone_at_every_size(suite_of):
    suite = suite_of('[[sweep]]\ngraph = "op"\nname = ["tanh", "affine"]\nsize = [8, 16]\nbatch = 2')
    assert names(suite) == ["tanh-w8-b2", "tanh-w16-b2", "affine-w8-b2", "affine-w16-b2"]
    graph = suite.cases[3].make()
    assert (graph.wrt, graph.output_shape) == (("z", "W", "b"), (2, 17))
    assert suite.cases[3].knobs["graph"] == "affine"
    assert len(suite_of('[[sweep]]\ngraph = "op"').cases) == len(OPS)


def test_a_chain_is_swept_by_its_links_size_and_depth(suite_of):
    suite = suite_of(
        '[[sweep]]\ngraph="chain"\nops=["neg", "permute"]\nsize=[6, 9]\n'
        '[[sweep]]\ngraph="chain"\nops=[["cross"], ["conv1d", "tanh", "affine"]]\nsize=6\nbatch=2\ndepth=4\nn_seeds=3'
    )
    assert names(suite) == [
        "chain-neg-permute-w6-d2-b1",
        "chain-neg-permute-w9-d2-b1",
        "chain-cross-w6-d4-b2-seeds3",
        "chain-conv1d-tanh-affine-w6-d4-b2-seeds3",
    ]
    last = suite.cases[3]
    assert {key: last.knobs[key] for key in ("graph", "depth", "width", "batch", "n_seeds", "dtype")} == {
        "graph": "chain-conv1d-tanh-affine",
        "depth": 4,
        "width": 6,
        "batch": 2,
        "n_seeds": 3,
        "dtype": "float64",
    }
    assert [node.op.name for node in last.make().nodes] == ["conv1d", "affine", "tanh", "conv1d"]
    assert suite.cases[0].make().wrt == ("e",)


def test_chains_that_are_one_graph_have_one_name_and_others_have_others(suite_of):
    suite = suite_of(
        CHAIN + 'size=6\nops=[["neg"], ["neg", "neg"]]\ndepth=4\n' + CHAIN + 'size=6\nops=["neg", "neg", "neg", "neg"]\n'
        + CHAIN + 'size=6\nops=["affine"]\nwrt=["all", ["e"]]\ndtype="float32"\nrng_seed=2'
    )  # fmt: skip
    assert names(suite) == [
        "chain-neg-w6-d4-b1",
        "chain-affine-w6-d1-b1-float32-wrtall-rng2",
        "chain-affine-w6-d1-b1-float32-rng2",
    ]
    assert suite.cases[1].make().wrt == ("e", "W1", "b1")


def test_a_file_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n', encoding="utf-8-sig")
    assert names(load_suite(str(file))) == ["mlp-w4-d1-b1"]
    (file,) = write_cases(str(file), ["mlp-w4-d1-b1"], tmp_path).values()
    assert names(load_suite(str(file))) == ["mlp-w4-d1-b1"]
    (tmp_path / "pyproject.toml").write_text("[tool.jacobench.gate]\nmax_minutes = 3\n", encoding="utf-8-sig")
    assert read_table(Project(tmp_path, tmp_path)) == {"max_minutes": 3}


def test_what_a_function_in_a_file_cannot_import_stays_unsupported(tmp_path):
    (tmp_path / "nets.py").write_text(
        "from jacobench import Unsupported\n\ndef net():\n    raise Unsupported('this JAX model contains sort')\n"
    )
    (tmp_path / "my.toml").write_text('[[sweep]]\ngraph = "nets.py:net"\n')
    (case,) = load_suite(tmp_path / "my.toml").cases
    with pytest.raises(Unsupported, match=r"^this JAX model contains sort$"):
        case.make()
