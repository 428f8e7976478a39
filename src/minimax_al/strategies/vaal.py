"""VAAL: images whose latent codes a discriminator takes for unlabelled."""

from dataclasses import replace
from typing import ClassVar

from minimax_al.acquisition import top
from minimax_al.networks import VAE
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round, fit_vaal


class Vaal(Strategy):
    """Lowest D(z) of an adversarially trained autoencoder (Sinha, Ebrahimi and Darrell 2019).

    The autoencoder and its discriminator see images alone; the task model is trained as for every other method.
    """

    sample_kinds: ClassVar[tuple[str, ...]] = ("images",)

    def fit(self, round_: Round) -> Models:
        """Train the task model, then autoencoder and discriminator."""
        models = super().fit(round_)
        if len(round_.unlabelled) == 0:
            return models
        vae, discriminator, history = fit_vaal(round_)
        return replace(
            models,
            others={"vae": vae, "latent_discriminator": discriminator},
            history={**models.history, "vaal": history},
        )

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` images that look least labelled."""
        vae, discriminator = models.others["vae"], models.others["latent_discriminator"]
        assert isinstance(vae, VAE)

        def score(outputs: Outputs) -> Scores:
            mu, _ = vae.encode(outputs.images)
            return {"labelledness": discriminator(mu).to(outputs.images.dtype)}

        scores = score_pool(round_, models, score)
        return picks(round_, top(scores["labelledness"], budget, largest=False), scores)
