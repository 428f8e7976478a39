"""How networks learn: Algorithm 1, Algorithm 3, VAAL, and what one round of them is."""

from minimax_al.training.evaluation import HEADLINE, Evaluation, evaluate
from minimax_al.training.extraction.encoding import EncodingSettings
from minimax_al.training.extraction.extraction import Extraction, embed_folder, extract_features
from minimax_al.training.extraction.image_files import ImageFile
from minimax_al.training.fits.fits import fit_minimax, fit_supervised, fit_vaal
from minimax_al.training.head_settings import FeatureSettings, HeadSettings
from minimax_al.training.minimax import MinimaxSettings, MinimaxTraining
from minimax_al.training.models import Models, Outputs
from minimax_al.training.recipe import Recipe
from minimax_al.training.round import Round
from minimax_al.training.runtime.runtime import Runtime, RuntimeSettings
from minimax_al.training.task import TaskSettings, TaskTraining
from minimax_al.training.vaal import VaalSettings, VaalTraining

__all__ = [
    "HEADLINE",
    "EncodingSettings",
    "Evaluation",
    "Extraction",
    "FeatureSettings",
    "HeadSettings",
    "ImageFile",
    "MinimaxSettings",
    "MinimaxTraining",
    "Models",
    "Outputs",
    "Recipe",
    "Round",
    "Runtime",
    "RuntimeSettings",
    "TaskSettings",
    "TaskTraining",
    "VaalSettings",
    "VaalTraining",
    "embed_folder",
    "evaluate",
    "extract_features",
    "fit_minimax",
    "fit_supervised",
    "fit_vaal",
]
