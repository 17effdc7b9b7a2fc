"""What `from_torch` promises: names, constants, precision, an unchanged module, and errors that name everything."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers.from_torch import from_torch
from jacobench.graphs.importers.torch_conversion import TORCH_OPS
from jacobench.strategies.registry import load

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


class Function(nn.Module):
    """A module of a function of itself and its inputs, with a parameter `w` and a buffer `n`."""

    def __init__(self, function):
        super().__init__()
        self.function, self.w = function, nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("n", torch.ones(3))

    def forward(self, x, *others):
        return self.function(self, x, *others)


class Model(nn.Module):
    """A model with everything that names depend on."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("mask", torch.tensor([True, False, True]))

    def forward(self, tokens, state, *more, scale=2.0):
        h = self.embedding(tokens) * self.mask + state["h"][0] * scale
        return self.head(h + more[0]), state["c"]


def inputs():
    state = {"h": [torch.ones(2, 3), torch.zeros(1)], "c": torch.tensor(3.0)}
    return torch.tensor([1, 4]), state, torch.ones(3), torch.tensor([1])


def test_leaves_have_the_names_of_the_source():
    module = Model()
    graph, leaves = from_torch(module, *inputs())
    assert list(leaves) == ["state.h.0", "state.h.1", "state.c", "more.0", "unused", "embedding.weight"]
    assert graph.wrt == ("unused", "embedding.weight") == tuple(dict(module.named_parameters()))
    assert graph.with_wrt("inputs").wrt == ("state.h.0", "state.h.1", "state.c", "more.0")
    assert {name: leaf.role for name, leaf in graph.leaves.items()}["more.0"] == "input"
    assert {name: x.shape for name, x in leaves.items()} == {name: leaf.shape for name, leaf in graph.leaves.items()}
    assert graph.output_shape == (2, 5)


def test_wrt_selects_leaves():
    graph, _ = from_torch(Model(), *inputs(), wrt=["more.0", "unused"])
    assert graph.wrt == ("more.0", "unused")
    with pytest.raises(BadInput, match=r"unknown leaf in wrt 'head\.weight'"):
        from_torch(Model(), *inputs(), wrt=["head.weight"])


def test_a_parameter_that_is_not_used_has_derivative_zero():
    graph, leaves = from_torch(Model(), *inputs())
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(np.ones((1, 2, 5), "f4"))
    np.testing.assert_array_equal(bars["unused"], np.zeros((1, 2)))
    assert np.abs(bars["embedding.weight"]).max() > 0


def test_no_leaf_becomes_a_constant():
    graph, leaves = from_torch(
        Function(lambda m, x: torch.exp(m.w) * m.n + x.new_zeros(3) + torch.arange(3)), torch.ones(3)
    )
    other = {"x": leaves["x"] + 1, "w": leaves["w"] * 2}
    np.testing.assert_allclose(graph.evaluate(other), np.exp(other["w"]) + np.arange(3), rtol=1e-6)


def state_of(module):
    """Return all that an import could change."""
    return {
        "training": [part.training for part in module.modules()],
        "tensors": {name: x.clone() for name, x in module.state_dict().items()},
        "identities": [id(p) for p in module.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
        "recorded": [p.requires_grad for p in module.parameters()],
        "hooks": [len(part._forward_hooks) for part in module.modules()],
        "attributes": sorted(vars(module)),
    }


def test_the_module_and_torchs_state_do_not_change():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.TransformerEncoderLayer(4, 2, 5, 0.5))
    module[0].register_forward_hook(lambda _module, _args, output: output * 2)
    module[0].weight.requires_grad_(False)
    x = torch.randn(6, 3, requires_grad=True)
    module(x).sum().backward()
    before, generator = state_of(module), torch.get_rng_state()
    graph, leaves = from_torch(module, x)
    after = state_of(module)
    assert after.pop("tensors").keys() == before["tensors"].keys()
    assert all(torch.equal(x, before["tensors"][name]) for name, x in module.state_dict().items())
    gradients = zip(after.pop("gradients"), before["gradients"], strict=True)
    assert all(x is y or torch.equal(x, y) for x, y in gradients)
    assert after == {key: before[key] for key in after}
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.backends.mha.get_fastpath_enabled()
    assert "0.weight" in graph.wrt
    expected = copy.deepcopy(module).eval()(x).detach().numpy()
    np.testing.assert_allclose(graph.evaluate(leaves), expected, atol=1e-5)


def test_leaves_and_module_share_no_memory():
    module, x = nn.Linear(3, 2), torch.ones(4, 3)
    graph, leaves = from_torch(module, x)
    expected, output = (
        module(x).detach().numpy(),
        graph.origin.evaluate({n: torch.tensor(v) for n, v in leaves.items()}),
    )
    for leaf in leaves.values():
        np.add(leaf, 1, leaf)
    np.testing.assert_array_equal(module(x).detach().numpy(), expected)
    np.testing.assert_array_equal(output.detach().numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_module_keeps_its_dtype_or_is_converted(dtype):
    module, x = nn.Linear(3, 2).to(getattr(torch, dtype)), torch.ones(4, 3, dtype=getattr(torch, dtype))
    graph, leaves = from_torch(module, x)
    assert graph.dtype == leaves["weight"].dtype == leaves["input"].dtype == dtype
    graph, leaves = from_torch(module, x, dtype="float64")
    assert graph.dtype == leaves["weight"].dtype == "float64"
    np.testing.assert_array_equal(leaves["weight"], module.weight.detach().numpy())
    assert module.weight.dtype == getattr(torch, dtype)


def test_the_origin_says_what_was_removed_and_how_long_it_took():
    def function(m, x):
        unused = torch.cos(x)
        return x * torch.sin(m.n), unused

    origin = from_torch(Function(function), torch.ones(3))[0].origin
    assert origin.library == "torch"
    assert set(origin.removed) == {"sin", "cos"}
    assert origin.library_seconds > origin.conversion_seconds > 0


def test_the_original_computes_the_module_with_other_leaves():
    graph, leaves = from_torch(Model(), *inputs())
    other = {name: torch.from_numpy(np.asarray(2 * x)) for name, x in leaves.items()}
    found = graph.origin.evaluate(other).detach().numpy()
    np.testing.assert_allclose(
        found, graph.evaluate({name: x.numpy() for name, x in other.items()}), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("strategy", ["torch-original", "torch-vjp", "dense"])
def test_strategies_agree_on_an_imported_model(strategy):
    graph, leaves = from_torch(Model(), *inputs(), wrt="all")
    seeds = np.random.default_rng(0).uniform(-1, 1, (3, 2, 5)).astype("f4")
    expected = load("vjp").prepare(graph).linearize(leaves)
    found = load(strategy).prepare(graph).linearize(leaves)
    np.testing.assert_allclose(found.output, expected.output, rtol=1e-5, atol=1e-5)
    bars, wanted = found.pullback(seeds), expected.pullback(seeds)
    assert list(bars) == list(graph.wrt)
    for name, bar in wanted.items():
        np.testing.assert_allclose(bars[name], bar, rtol=1e-5, atol=1e-4, err_msg=name)


def test_an_input_that_is_changed_in_place_is_not_changed_here():
    x = torch.ones(3)
    graph, leaves = from_torch(Function(lambda m, x: x.mul_(2) * m.w), x)
    np.testing.assert_array_equal(graph.evaluate(leaves), [1, -2, 4])
    tensors = {name: torch.from_numpy(leaf) for name, leaf in leaves.items()}
    np.testing.assert_array_equal(graph.origin.evaluate(tensors).detach().numpy(), [1, -2, 4])
    assert torch.equal(x, torch.ones(3))
    np.testing.assert_array_equal(leaves["x"], np.ones(3))


def test_only_the_first_output_counts():
    graph, _ = from_torch(Function(lambda m, x: {"a": m.w * x, "b": torch.sort(x)}), torch.ones(3))
    assert [node.op.name for node in graph.nodes] == ["multiply"]


def straight_through():
    class Round(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x.round()

        @staticmethod
        def backward(_ctx, y_bar):
            return y_bar

    return Function(lambda m, x: Round.apply(m.w * x))


UNSUPPORTED = {
    "several": (
        lambda m, x: torch.fft.fft(x).abs() + x.sort()[0] + x.topk(3)[0] + x.max(0)[1] * m.w,
        ["aten._fft_r2c (Function)", "aten.sort (Function)", "aten.topk (Function)", "aten.max, result 1 (Function)"],
    ),
    "integers": (lambda m, x: x.long() * m.w, ["aten._to_copy to int64"]),
    "random": (lambda _, x: x * torch.rand(3), ["aten.rand (random numbers)"]),
    "mask": (lambda _, x: x[x > 0].sum(), ["aten.index with indices that depend on leaves"]),
    "cond": (lambda _, x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), ["cond (Function)"]),
    "if": (
        lambda _, x: x if x.sum() > 0 else -x,
        ["control flow that depends on data (<lambda>, line ", "test_from_torch.py"],
    ),
    "number": (lambda m, x: x * float(m.w.sum()), ["control flow that depends on data"]),
    "buffer": (lambda m, x: x + m.n.add_(1), ["update of the buffer n"]),
    "data": (lambda m, x: m.w.data * x, ["code that torch.export rejects"]),
    "half": (lambda _, x: x.half() * 2, ["aten._to_copy to float16"]),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_cannot_be_imported_is_listed_completely(name, capfd):
    function, expected = UNSUPPORTED[name]
    with pytest.raises(Unsupported) as raised:
        from_torch(Function(function), torch.ones(3))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""
    for each in expected:
        assert each in str(raised.value)


def test_unsupported_ops_have_the_path_of_their_module():
    layers = [
        nn.Linear(3, 3),
        Function(lambda _, x: torch.sort(x)[0]),
        nn.Sequential(Function(lambda _, x: x.topk(2)[0])),
    ]
    with pytest.raises(Unsupported, match=r"aten\.sort \(1\); aten\.topk \(2\.0\); see docs/models.md$"):
        from_torch(nn.Sequential(*layers), torch.ones(3))


def test_a_derivative_of_the_users_own_is_unsupported():
    with pytest.raises(Unsupported, match=r"autograd\.Function Round"):
        from_torch(straight_through(), torch.ones(3))
    assert torch.autograd.Function.apply.__func__.__module__ == "torch.autograd.function"


def fails(_module, _x):
    raise ValueError("a reason\nand more")


BAD = {
    "not a module": (torch.sin, (torch.ones(3),), "was given a builtin_function_or_method: expected a torch.nn.Module"),
    "half": (nn.Linear(3, 2).half(), (torch.ones(3),), "weight has dtype float16: expected float32 or float64"),
    "bfloat16": (nn.Linear(3, 2), (torch.ones(3).bfloat16(),), "input has dtype bfloat16: expected float32"),
    "complex": (nn.Linear(3, 2), (torch.ones(3) * 1j,), "input has dtype complex64: expected float32"),
    "mixed": (nn.Linear(3, 2).double(), (torch.ones(3),), r"mixes float64 \(weight\) and float32 \(input\)"),
    "nothing to differentiate": (nn.ReLU(), (torch.tensor(1),), "neither parameters nor floating-point inputs"),
    "too few inputs": (nn.Linear(3, 2), (), "do not fit Linear.forward: missing a required argument: 'input'"),
    "too many inputs": (nn.Linear(3, 2), (1, 2), "do not fit Linear.forward: too many positional arguments"),
    "wrong shape": (nn.Linear(3, 2), (torch.ones(4),), "the module fails with these inputs: RuntimeError: "),
    "own error": (Function(fails), (torch.ones(3),), "the module fails with these inputs: ValueError: a reason$"),
    "integer output": (Function(lambda _, x: x.argmax()), (torch.ones(3),), "first output has dtype torch.int64"),
    "no output": (Function(lambda *_: None), (torch.ones(3),), "returns no tensor"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name):
    module, args, match = BAD[name]
    with pytest.raises(BadInput, match=match) as raised:
        from_torch(module, *args)
    assert "\n" not in str(raised.value)


def test_an_input_and_a_parameter_with_one_name_are_refused():
    class Clash(Function):
        def forward(self, w):
            return w * self.w

    with pytest.raises(BadInput, match="an input and a parameter are both called 'w'"):
        from_torch(Clash(None), torch.ones(3))


def test_a_dtype_that_is_unknown_is_refused():
    with pytest.raises(BadInput, match="unknown dtype 'float16'"):
        from_torch(nn.Linear(3, 2), torch.ones(3), dtype="float16")


def test_every_name_of_the_table_is_an_op_of_torch():
    for name in TORCH_OPS:
        _, packet, *overload = name.split(".")
        found = getattr(torch.ops.aten, packet)
        assert not overload or overload[0] in found.overloads()


def test_long_graphs_are_imported_without_recursion():
    n_steps = 500

    def function(m, x):
        for _ in range(n_steps):
            x = x + 0.01 * torch.tanh(m.w * x)
        return x

    graph, leaves = from_torch(Function(function), torch.ones(3), wrt="all")
    assert len(graph.nodes) == 4 * n_steps
    expected = Function(function)(torch.ones(3)).detach().numpy()
    np.testing.assert_allclose(graph.evaluate(leaves), expected, rtol=1e-5)
