"""Trial of a protocol: its networks are built and shown two images before anything is written."""

import torch

from minimax_al.benchmark.oracle import Oracle
from minimax_al.benchmark.protocol import Protocol
from minimax_al.data import Dataset
from minimax_al.errors import ConfigurationError, MinimaxALError
from minimax_al.loop import ActiveLearner
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training.build import build_minimax_networks, build_task_model, build_vaal_networks

_IMAGES = 2


def check_runnable(protocol: Protocol, dataset: Dataset) -> None:
    """Refuse a protocol whose networks cannot be built or cannot read the images.

    Published weights are loaded now. Feature vectors need no encoder, so nothing is built for them.

    Args:
        protocol: Protocol of the benchmark.
        dataset: Data set, as `protocol.load()` returns it.

    Raises:
        ConfigurationError: The encoder is unknown, the images are too small for it, or the initial pool needs a
            pretrained one.
        MinimaxALError: Another reason for which the networks cannot be built.
    """
    if dataset.sample == "features":
        return
    if protocol.chooses_first_images and not protocol.recipe.pretrained:
        raise ConfigurationError(
            f"initial is {protocol.initial!r}, which chooses by features, but encoder {protocol.recipe.encoder!r} is "
            "not pretrained: set recipe.pretrained to true, use a data set of features, or set initial to 'random'"
        )
    strategies = [build_strategy(name) for name in protocol.strategies]
    learner = ActiveLearner(Oracle(dataset).question, strategies[0], protocol.recipe)
    round_ = learner.round
    model = learner.runtime.place(build_task_model(round_)).eval()
    # Strategies may change settings of Algorithm 1, and most do not.
    for settings in {each.minimax_settings(round_) for each in strategies if each.training == "minimax"}:
        build_minimax_networks(round_, settings)
    if any(name.startswith("vaal") for name in protocol.strategies):
        build_vaal_networks(round_)
    first_images = torch.arange(min(_IMAGES, len(dataset.train)))
    try:
        # Not `round_.stream`, which is a collective: one rank alone makes the trial.
        with torch.inference_mode():
            for x in round_.feed.plain(learner.dataset.train, first_images, _IMAGES):
                model.encoder(x)
    except MinimaxALError:
        raise
    except RuntimeError as error:
        size = "×".join(map(str, getattr(dataset.train, "size", ())))
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigurationError(
            f"encoder {protocol.recipe.encoder!r} cannot read images of {size} pixels ({first}): set "
            "recipe.augmentation.input_size, or choose another encoder"
        ) from error
