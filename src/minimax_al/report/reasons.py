"""Reasons for picks, each one sentence for annotators."""

from collections.abc import Mapping

AT_RANDOM = "random sample, which keeps estimates about the whole pool unbiased"
FIRST_ROUND = "random sample: no image has a label yet"
BY_RANDOM = "random sample"

_BY_SCORE = {
    "entropy": "the model is unsure of it",
    "margin": "the model hesitates between two classes",
    "least_confidence": "the model has little confidence in its best guess",
    "mutual_information": "sampled models disagree about it",
    "variation_ratio": "the models of the ensemble disagree about it",
    "labelledness": "it looks unlike the labelled images",
    "predicted_loss": "the model's error on it is predicted to be large",
}
_BY_STRATEGY = {
    "coreset": "it is far from every labelled image",
    "centroids": "it is typical of one kind of image",
    "cluster_margin": "the model hesitates between two classes, and no other pick is like it",
    "uherding": "it covers images of which the model is unsure, unlike the labelled ones",
    "dropquery": "its predicted class changes when a part of its features is dropped",
    "coverage": "it is far from every labelled or earlier picked image",
    "typicality": "it is typical of a kind of image that has no label yet",
    "badge": "it would change the model in another way than the other picks",
    "alfa_mix": "its predicted class changes when its features are mixed with those of labelled images",
    "bait": "together with the other picks it makes the model most certain about the whole pool",
    "galaxy": "it is near the border between two classes",
    "maxherding": "it is like many images that no labelled image is like",
    "probcover": "it is like many images that no labelled image is like",
    "waal": "it is uncertain, or unlike the labelled images",
    "batchbald": "together with the other picks it is most informative about the model",
}


def reason_for(strategy: str, scores: Mapping[str, float], pool: int) -> str:
    """Return the reason for a pick.

    Args:
        strategy: Name of the strategy.
        scores: Scores of the image, by name.
        pool: Number of candidates.

    Example:
        >>> reason_for("mal", {"entropy_rank": 11, "labelledness_rank": 29}, pool=5000)
        'the model is unsure of it (rank 12 of 5,000) and it looks unlike the labelled images (rank 30)'
        >>> reason_for("margin", {"margin": 0.031}, pool=5000)
        'the model hesitates between two classes (margin 0.031)'
    """
    base = strategy.partition("(")[0].removesuffix("+mal").split("-")[0]
    if base == "random":
        return BY_RANDOM
    if "entropy_rank" in scores:
        sentence = f"{_BY_SCORE['entropy']} (rank {scores['entropy_rank'] + 1:,.0f} of {pool:,})"
        if "labelledness_rank" in scores:
            rank = scores["labelledness_rank"] + 1
            sentence += f" and {_BY_SCORE['labelledness']} (rank {rank:,.0f})"
        return sentence
    if base in _BY_STRATEGY:
        return _BY_STRATEGY[base]
    for name, words in _BY_SCORE.items():
        if name in scores:
            return f"{words} ({name.replace('_', ' ')} {scores[name]:.3g})"
    return f"chosen by {strategy}"
