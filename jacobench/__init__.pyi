from jacobench.api import load as load
from jacobench.api import plot as plot
from jacobench.api import read as read
from jacobench.api import run as run
from jacobench.api import strategy as strategy
from jacobench.graphs.builder import GraphBuilder as GraphBuilder
from jacobench.graphs.errors import BadInput as BadInput
from jacobench.graphs.graph import Graph as Graph
from jacobench.graphs.mlp import mlp as mlp
from jacobench.reports.crossovers import crossovers as crossovers
from jacobench.reports.growth import growth as growth
from jacobench.reports.limits import what_fits as what_fits
from jacobench.reports.recommendation import recommend as recommend
from jacobench.reports.reuse import reuse as reuse
from jacobench.reports.runs import load_passes as load_passes
from jacobench.strategies.contract import Unsupported as Unsupported

def strategies() -> list[str]: ...
