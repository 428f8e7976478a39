from .data import Dataset, Pool, load_dataset
from .loop import ActiveLearner
from .strategies import Query, Strategy, get_strategy, list_strategies
from .training import Models, Recipe, Runtime

__version__: str

__all__ = [
    "ActiveLearner",
    "Dataset",
    "Models",
    "Pool",
    "Query",
    "Recipe",
    "Runtime",
    "Strategy",
    "__version__",
    "get_strategy",
    "list_strategies",
    "load_dataset",
]
