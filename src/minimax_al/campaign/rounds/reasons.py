"""Why an image was picked, in a sentence that a person who labels can use."""

from collections.abc import Mapping

AT_RANDOM = "drawn at random, to keep the image of the whole pool honest"
FIRST_ROUND = "drawn at random: no image has a label yet"
BY_RANDOM = "drawn at random"

_BY_SCORE = {
    "entropy": "the model is unsure of it",
    "margin": "the model hesitates between two classes",
    "least_confidence": "the model trusts its best guess little",
    "mutual_information": "sampled models disagree about it",
    "variation_ratio": "the models of the ensemble disagree about it",
    "labelledness": "it looks unlike what is labelled",
}
_BY_STRATEGY = {
    "coreset": "it lies far from everything that is labelled",
    "centroids": "it is typical of one kind of image",
    "cluster_margin": "the model hesitates between two classes, and no other pick is like it",
    "dropquery": "its predicted class changes when a part of its features is dropped",
    "coverage": "it lies far from everything that is labelled or was picked before it",
    "typicality": "it is typical of a kind of image that has no label yet",
    "badge": "it would change the model in a way that the other picks would not",
    "batchbald": "together with the other picks it tells most about the model",
}


def reason_for(strategy: str, scores: Mapping[str, float], pool: int) -> str:
    """The sentence.

    Args:
        strategy: the name of what chose.
        scores: its numbers for the image, by name.
        pool: how many images were chosen among.

    Example:
        >>> reason_for("mal", {"entropy_rank": 11, "labelledness_rank": 29}, pool=5000)
        'the model is unsure of it (place 12 of 5,000) and it looks unlike what is labelled (place 30)'
        >>> reason_for("margin", {"margin": 0.031}, pool=5000)
        'the model hesitates between two classes (margin 0.031)'
    """
    base = strategy.partition("(")[0].removesuffix("+mal").split("-")[0]
    if base == "random":
        return BY_RANDOM
    if "entropy_rank" in scores:
        sentence = f"{_BY_SCORE['entropy']} (place {scores['entropy_rank'] + 1:,.0f} of {pool:,})"
        if "labelledness_rank" in scores:
            place = scores["labelledness_rank"] + 1
            sentence += f" and {_BY_SCORE['labelledness']} (place {place:,.0f})"
        return sentence
    if base in _BY_STRATEGY:
        return _BY_STRATEGY[base]
    for name, words in _BY_SCORE.items():
        if name in scores:
            return f"{words} ({name.replace('_', ' ')} {scores[name]:.3g})"
    return f"chosen by {strategy}"
