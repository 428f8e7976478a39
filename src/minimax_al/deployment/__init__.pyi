from .model_card import CardText
from .model_file import load_model, save_model
from .packaging import write_package
from .prediction import Prediction, Predictions, predict_folder
from .trained import EncoderSource, Trained

__all__ = [
    "CardText",
    "EncoderSource",
    "Prediction",
    "Predictions",
    "Trained",
    "load_model",
    "predict_folder",
    "save_model",
    "write_package",
]
