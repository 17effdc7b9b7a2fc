"""Names of cases: different arguments give different names, and readable names stay."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobench.bench.suites.case import larger
from jacobench.bench.suites.graph_file import _named
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput

GRAPH_FILE = """
from jacobench.graphs.generators.mlp import mlp_graph

def net(width=2, a=0, a1=0, kind="", blocks=(), rng=0):
    return mlp_graph([width, 2])
"""


@pytest.fixture
def cases_of(tmp_path):
    """Return a function from the keys of a sweep over the user's own graph to its cases."""
    (tmp_path / "net.py").write_text(GRAPH_FILE)

    def load(*sweeps):
        file = tmp_path / "own.toml"
        file.write_text("".join(f'[[sweep]]\ngraph = "net.py:net"\n{keys}\n' for keys in sweeps))
        return load_suite(str(file)).cases

    return load


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("width = [4, 8]", ["-width4", "-width8"]),
        ('kind = ["gelu", "layer_norm", "max"]', ["-kindgelu", "-kindlayer_norm", "-kindmax"]),
        ("a = [0.5, true, -1]", ["-a0.5", "-aTrue", "-a-1"]),
        ("blocks = [[1, 2]]", ["-blocks1x2"]),
        ("blocks = [[[1, 2], [3]], [[1], [2, 3]]]", ["-blocks(1x2)x(3)", "-blocks(1)x(2x3)"]),
        ("blocks = [[2]]", ["-blocks2"]),
        ('a = [1, "1", 1.0, true, "True"]', ["-a1", "-a'1'", "-a=1.0", "-aTrue", "-a'True'"]),
        ('kind = ["a b", "", "3x3", "it\'s", "b-width4"]', ["a b", "''", "'3x3'", '"it\'s"', "'b-width4'"]),
        ('blocks = [["a", "b"], "axb"]', ["-blocks'a'x'b'", "-blocksaxb"]),
        ("rng = 3\nrng_seed = 3", ["-rng=3-rng3"]),
    ],
)
def test_names_are_readable_and_distinct(cases_of, keys, found):
    assert [case.name for case in cases_of(keys)] == [
        f"net.net{text if text.startswith('-') else f'-kind{text}'}" for text in found
    ]


VALUES = st.recursive(
    st.booleans()
    | st.integers(-3, 30)
    | st.floats()
    | st.text("abx12-='(\\\"[, ", max_size=6)
    | st.sampled_from(["True", "nan", "-a1", "x-b2"]),
    lambda values: st.lists(values, max_size=3),
    max_leaves=5,
).filter(lambda value: not isinstance(value, list) or len(value) != 1)
NAMES = ("a", "a1", "ab", "b", "x")


@given(*[st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)] * 2)
def test_different_arguments_have_different_names(one, other):
    texts = ["".join(_named(key, own[key], NAMES) for key in NAMES if key in own) for own in (one, other)]
    contents = [repr({key: own[key] for key in NAMES if key in own}) for own in (one, other)]
    assert (texts[0] == texts[1]) == (contents[0] == contents[1])


def test_the_same_case_of_two_sweeps_is_one_case(cases_of):
    cases = cases_of('a = [1, 2]\nstrategies = ["vjp"]', 'a = 1\nstrategies = ["dense"]')
    assert [(case.name, case.strategies) for case in cases] == [
        ("net.net-a1", ("vjp", "dense")),
        ("net.net-a2", ("vjp",)),
    ]


def test_a_case_with_other_arguments_is_not_a_larger_case(cases_of):
    cases = cases_of('width = [4, 8]\nkind = ["u", "v"]')
    assert [case.name for case in larger(cases, "net.net-width4-kindu")] == ["net.net-width8-kindu"]


def test_generated_cases_that_differ_in_a_key_have_different_names(tmp_path):
    swept = {
        "width": [4, 5],
        "batch": [1, 2],
        "activation": ["tanh", "gelu"],
        "loss": ["mse", "none", "cross_entropy"],
        "normalization": ["none", "layer_norm"],
        "residual": ["true", "false"],
        "weight_density": [1.0, 0.5],
        "dtype": ["float64", "float32"],
        "rng_seed": [0, 1],
    }
    keys = "".join(
        f"{key} = {str(values).replace(chr(39), chr(34)) if key != 'residual' else '[true, false]'}\n"
        for key, values in swept.items()
    )
    file = tmp_path / "own.toml"
    file.write_text(f'[[sweep]]\ngraph = "mlp"\ndepth = 2\ntask = ["gradient", "jacobian"]\n{keys}')
    cases = load_suite(str(file)).cases
    assert len({case.name for case in cases}) == len(cases) == 2 * len(list(product(*swept.values())))


def test_two_cases_with_one_name_are_refused(tmp_path):
    for folder in ("u", "v"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(GRAPH_FILE)
    file = tmp_path / "own.toml"
    file.write_text("".join(f'[[sweep]]\ngraph = "{folder}/net.py:net"\n' for folder in "uv"))
    with pytest.raises(BadInput, match=r"sweep\[1\]: another case already has the name 'net.net'"):
        load_suite(str(file))


def test_a_list_of_one_item_and_the_item_are_refused_in_one_suite(cases_of):
    with pytest.raises(BadInput, match=r"another case already has the name 'net.net-a2'.*always as a list or never"):
        cases_of("a = [[2], 2]")
