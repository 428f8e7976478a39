"""Features of the pool as acquisition functions read them: in memory, or encoded block by block."""

from collections.abc import Callable

import torch
from torch import Tensor

from minimax_al.data import Features
from minimax_al.errors import ConfigurationError
from minimax_al.strategies.strategy import Scores, score_pool
from minimax_al.training import Models, Outputs, Round
from minimax_al.training.build import build_task_model
from minimax_al.training.heads.feature_fits import identity_adapter

MOST_NUMBERS = 2**27
"""Largest number of float32 values of a pool that is gathered in memory: 512 MiB."""

FeaturesOf = Callable[[Outputs], Tensor]
"""Outputs on a batch → one feature vector per image, (B, e)."""


class EncodedRows:
    """Rows of a feature pool, encoded whenever they are read.

    Args:
        pool: Feature vectors on disk or in memory.
        encode: Function from a block (B, d) on the device to rows (B, e).
        width: Width e of the rows.
        round_: Round whose device and dtype the blocks take.
    """

    def __init__(self, pool: Features, encode: Callable[[Tensor], Tensor], width: int, round_: Round) -> None:
        self._pool = pool
        self._encode = encode
        self._round = round_
        self.shape: tuple[int, ...] = (len(pool), width)

    def __len__(self) -> int:
        return len(self._pool)

    def __getitem__(self, which: slice | Tensor, /) -> Tensor:
        runtime = self._round.runtime
        with torch.inference_mode():
            rows = self._encode(self._pool[which].to(runtime.device, runtime.dtype)).cpu()
        return rows.clone()  # an inference tensor could not be changed by its reader


def image_features(outputs: Outputs) -> Tensor:
    """Return the features of the encoder, one vector per image."""
    return outputs.image_features()


def last_layer_input(outputs: Outputs) -> Tensor:
    """Return the vectors that the last layer multiplies: of length 1 under a cosine classifier."""
    return outputs.last_layer_input()


def pool_features(
    round_: Round,
    models: Models,
    features_of: FeaturesOf = image_features,
    indices: Tensor | None = None,
    score: Callable[[Outputs], Scores] | None = None,
) -> tuple[Tensor | EncodedRows, Scores]:
    """Return features of the pool and scores of its images, from one pass.

    Features of a large pool on disk are not kept: they are encoded again, block by block, when they are read.

    Args:
        round_: Round with the pool.
        models: Networks that encode and score.
        features_of: Function from the outputs on a batch to features, (B, e).
        indices: Samples, shape (n,) int64; default all unlabelled ones.
        score: Function from the outputs on a batch to scores by name, each (B,); default none.

    Returns:
        Features (n, e) and the scores, each (n,), with the `predicted` class and its `confidence`.
    """
    indices = round_.unlabelled if indices is None else indices
    pool = round_.dataset.train
    lazily = is_large(round_, len(indices))

    def forward(outputs: Outputs) -> Scores:
        scores = {} if score is None else score(outputs)
        return scores if lazily else scores | {"features": features_of(outputs)}

    scores = score_pool(round_, models, forward, indices)
    if not lazily:
        return scores.pop("features"), scores
    assert isinstance(pool, Features)
    width = features_of(models.outputs(round_.runtime.send(pool[:1]).to(round_.runtime.dtype))).shape[1]
    return EncodedRows(pool.subset(indices), lambda x: features_of(models.outputs(x)), width, round_), scores


def is_large(round_: Round, count: int | None = None) -> bool:
    """Return whether the features of N images are read block by block; default all unlabelled images."""
    pool = round_.dataset.train
    rows = len(round_.unlabelled) if count is None else count
    return isinstance(pool, Features) and rows * pool.shape[1] > MOST_NUMBERS


def cold_models(round_: Round) -> Models:
    """Return models that encode without a single label: features as they are, or a pretrained encoder.

    Raises:
        ConfigurationError: The samples are images and the recipe's encoder is not pretrained.
    """
    if isinstance(round_.dataset.train, Features):
        encoder = identity_adapter(round_)
    elif round_.recipe.pretrained:
        encoder = None
    else:
        raise ConfigurationError(
            f"encoder {round_.recipe.encoder!r} is not pretrained, so it cannot describe images before the first "
            "labels: set recipe.pretrained, use features, or label some images at random first"
        )
    return Models(round_.runtime.place(build_task_model(round_, encoder=encoder))).evaluating()
