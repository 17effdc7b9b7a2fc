"""Should I materialize this Jacobian, or take vector-Jacobian products? Measured on your machine.

Nothing is imported before it is used: ``import jacobench.graphs`` loads that room and no more. The types of what is
attached here stand in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"strategies"},  # the room, which may be called: see its docstring
    submod_attrs={
        "api": ["compare", "explain", "gate", "load", "plot", "predict", "read", "recommend_for", "run", "strategy"],
        "graphs.generators.attention": ["attention"],
        "graphs.builder": ["GraphBuilder"],
        "graphs.generators.chain": ["chain"],
        "graphs.errors": ["BadInput"],
        "graphs.graph": ["Graph"],
        "graphs.generators.mlp": ["mlp"],
        "reports.analysis.crossovers": ["crossovers"],
        "reports.analysis.growth": ["growth"],
        "reports.analysis.size_limits": ["what_fits"],
        "reports.analysis.recommendation": ["recommend"],
        "reports.analysis.reuse": ["reuse"],
        "reports.data.run_data": ["load_passes"],
        "strategies.contract": ["Unsupported"],
    },
)
