"""Fit of the task model M on features: a head on a frozen adapter, in about a second."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minimax_al.data import Features
from minimax_al.networks import Adapter, Encoder
from minimax_al.training.build import build_task_model, centre_adapter, library_draws
from minimax_al.training.heads.probe import fit_probe
from minimax_al.training.heads.prototypes import Labels, fit_nearest_mean, fit_prototypes
from minimax_al.training.models import Models
from minimax_al.training.round import Round


def fit_head(round_: Round, *, encoder: Encoder | None = None, dropout: float = 0.0) -> Models:
    """Fit M's head on the features of an encoder that stays as it is.

    The fit is deterministic. Members of an ensemble differ by label weights from the Bayesian bootstrap (Rubin 1981).

    Args:
        round_: Round with labels, recipe and feature vectors.
        encoder: Adapter that Algorithm 1 has trained; default the identity.
        dropout: Probability of dropping a feature before the head when passes are sampled; the fit drops none.

    Returns:
        M in evaluation mode, with the cross-entropy of the labels as its history.
    """
    encoder = identity_adapter(round_) if encoder is None else encoder
    encoder = round_.runtime.place(encoder).eval().requires_grad_(requires_grad=False)
    settings = round_.recipe.features.head
    labels = Labels.of(
        _encoded(round_, encoder, round_.labelled),
        round_.targets[round_.labelled].long(),
        round_.dataset.num_classes,
        settings,
    )
    if round_.member:
        labels = _reweighted(labels, round_.generator("bootstrap"))
    head = _fitted(round_, encoder, labels)
    model = round_.runtime.place(build_task_model(round_, encoder=encoder, dropout=dropout, head=head))
    with torch.no_grad():
        # Converted first: Apple's GPUs (mps) have no float64.
        logits = model.head(round_.runtime.send(labels.features.to(round_.runtime.dtype)))
        loss = float(F.cross_entropy(logits.cpu(), labels.targets))
    if round_.progress is not None and round_.runtime.ranks.rank == 0:
        round_.progress("task", 1, 1, "fits")
    return Models(model, history={"task": [{"classification": loss}]}).evaluating()


def _fitted(round_: Round, encoder: Encoder, labels: Labels) -> nn.Module:
    """Return the head that the recipe asks for, fitted."""
    settings, folds = round_.recipe.features.head, round_.generator("folds")
    with library_draws(round_):  # new layers draw weights before the fit replaces them
        if settings.kind == "linear":
            return fit_probe(labels, settings, folds)
        if settings.kind == "nearest_mean":
            return fit_nearest_mean(labels, settings)
        further = "class_means" in settings.origins or "pool" in settings.class_priors
        learns = settings.refinements > 0 or max(settings.entropy_weights) > 0 or further
        unlabelled = _unlabelled(round_, encoder) if learns else None
        return fit_prototypes(labels, settings, folds, unlabelled)


def identity_adapter(round_: Round) -> Adapter:
    """Return the adapter that changes nothing but the centre of the features."""
    pool = round_.dataset.train
    assert isinstance(pool, Features)
    adapter = Adapter(pool.shape[1])
    centre_adapter(round_, adapter, pool)
    return adapter


def _encoded(round_: Round, encoder: Encoder, indices: Tensor) -> Tensor:
    """Return features of training samples in float64 on the CPU, where heads are solved."""
    return round_.stream(lambda x: {"features": encoder(x)}, indices)["features"].double()


def _unlabelled(round_: Round, encoder: Encoder) -> Tensor | None:
    """Return features of evenly spaced unlabelled samples, or None where nothing is unlabelled."""
    count = min(len(round_.unlabelled), round_.recipe.features.head.unlabelled)
    if count == 0:
        return None
    rows = torch.linspace(0, len(round_.unlabelled) - 1, count).round().long()
    return _encoded(round_, encoder, round_.unlabelled[rows])


def _reweighted(labels: Labels, generator: torch.Generator) -> Labels:
    """Return labels with Dirichlet weights: every class keeps its labels, unlike in a plain bootstrap."""
    draws = -torch.rand(len(labels.targets), generator=generator, dtype=torch.float64).clamp_min(1e-12).log()
    weights = labels.weights * draws
    return Labels(labels.features, labels.targets, labels.classes, weights / weights.sum())
