from jacobench.api import compare as compare
from jacobench.api import explain as explain
from jacobench.api import gate as gate
from jacobench.api import load as load
from jacobench.api import plot as plot
from jacobench.api import predict as predict
from jacobench.api import read as read
from jacobench.api import recommend_for as recommend_for
from jacobench.api import run as run
from jacobench.api import strategy as strategy
from jacobench.graphs.builder import GraphBuilder as GraphBuilder
from jacobench.graphs.errors import BadInput as BadInput
from jacobench.graphs.generators.attention import attention as attention
from jacobench.graphs.generators.chain import chain as chain
from jacobench.graphs.generators.mlp import mlp as mlp
from jacobench.graphs.graph import Graph as Graph
from jacobench.reports.analysis.crossovers import crossovers as crossovers
from jacobench.reports.analysis.growth import growth as growth
from jacobench.reports.analysis.recommendation import recommend as recommend
from jacobench.reports.analysis.reuse import reuse as reuse
from jacobench.reports.analysis.size_limits import what_fits as what_fits
from jacobench.reports.data.run_data import load_passes as load_passes
from jacobench.strategies.contract import Unsupported as Unsupported

def strategies() -> list[str]: ...
