"""Benchmark of materialized Jacobians and vector-Jacobian products.

Attributes are imported when they are first used; ``import jacobench.graphs`` loads only that package. Their types are
declared in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"strategies"},
    submod_attrs={
        "api": ["compare", "explain", "gate", "load", "plot", "predict", "read", "recommend_for", "run", "strategy"],
        "graphs.generators.attention": ["attention"],
        "graphs.builder": ["GraphBuilder"],
        "graphs.generators.chain": ["chain"],
        "graphs.errors": ["BadInput"],
        "graphs.graph": ["Graph"],
        "graphs.generators.mlp": ["mlp"],
        "graphs.importers.from_jax": ["from_jax"],
        "graphs.importers.from_onnx": ["from_onnx"],
        "graphs.importers.from_sklearn": ["from_sklearn"],
        "graphs.importers.from_torch": ["from_torch"],
        "reports.analysis.crossovers": ["crossovers"],
        "reports.analysis.growth": ["growth"],
        "reports.analysis.size_limits": ["what_fits"],
        "reports.analysis.recommendation": ["recommend"],
        "reports.analysis.reuse": ["reuse"],
        "reports.data.run_data": ["load_passes"],
        "strategies.contract": ["Unsupported"],
        "strategies.registry": ["strategy_names"],
    },
)
