"""Model of a campaign: training, comparing, measuring, using it and taking it away."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minimax_al.campaign.methods.class_editing import ClassEditing
from minimax_al.campaign.progress.evaluation_result import EvaluationResult, read_evaluation, write_evaluation
from minimax_al.campaign.progress.label_errors import Review, review_labels
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.progress.status import (
    CurvePoint,
    ModelState,
    Status,
    read_curve,
    read_model_state,
    read_status,
)
from minimax_al.campaign.progress.team import Team, agreement_sentences, read_team
from minimax_al.data.locations.location import locate
from minimax_al.durable import check_file_to_write
from minimax_al.strategies.usual import check_training
from minimax_al.vocabulary import Progress

if TYPE_CHECKING:
    from minimax_al.campaign.model.comparing import Comparison
    from minimax_al.campaign.model.learning import StartCallback
    from minimax_al.deployment.prediction import Predictions
    from minimax_al.deployment.trained import Trained


class Modelling(ClassEditing):
    """Campaign's methods that concern its model; `Campaign` inherits them."""

    def train(
        self,
        strategy: str | None = None,
        progress: Progress | None = None,
        on_start: "StartCallback | None" = None,
    ) -> ModelState:
        """Train on all labels except the held-out ones; an interrupted training resumes.

        Images that cannot be read are set aside with a warning.

        Args:
            strategy: Strategy whose training runs; None for the campaign's.
            progress: Callback of the epochs, or of the images whose features are computed.
            on_start: Callback before a training, with the strategy and the numbers of labels to train on and held out.

        Raises:
            CampaignError: Another training runs.
            DataError: The campaign has no labels, or labels of one class only.
        """
        from minimax_al.campaign.model.learning import train  # noqa: PLC0415 - loads torch

        name = strategy or self.settings.strategy
        check_training(name, on_features=self.settings.features is not None)
        train(self.context, name, progress, on_start)
        return self.model()

    def finetune(self, progress: Progress | None = None, on_start: "StartCallback | None" = None) -> "Comparison":
        """Train the pretrained encoder itself, and keep the result if it is better than the head on its features.

        Args:
            progress: Callback of the trainings.
            on_start: Callback before the training on features.

        Returns:
            Accuracy and duration of both, measured on a fifth of the labels.

        Raises:
            CampaignError: Another training runs.
            ConfigurationError: The campaign does not learn on features.
            DataError: There are too few labels to compare on.
        """
        from minimax_al.campaign.model.comparing import train_finetuned  # noqa: PLC0415 - loads torch

        return train_finetuned(self.context, self.settings.strategy, progress, on_start)

    def compare(
        self,
        recipes: Sequence[str] = ("features", "finetune", "scratch-small"),
        progress: Progress | None = None,
    ) -> "Comparison":
        """Train several recipes on the same labels, and measure them on others.

        Args:
            recipes: Names of recipes, the fastest first.
            progress: Callback of the trainings.

        Raises:
            ConfigurationError: The campaign does not learn on features, or a recipe cannot be compared.
            DataError: There are too few labels to compare on.
        """
        from minimax_al.campaign.model.comparing import compare_recipes  # noqa: PLC0415 - loads torch

        return compare_recipes(self.context, recipes, progress)

    def review(self) -> Review:
        """Return the labels that cross-validated predictions contradict, most suspicious first.

        Raises:
            CampaignError: No model was measured by cross-validation yet.
        """
        return review_labels(self.context)

    def status(self) -> Status:
        """Return progress, class balance, accuracy with its interval, agreement between rounds, and advice."""
        return read_status(self.context)

    def model(self) -> ModelState:
        """Return the state of the last trained model: its score, its labels, how it agrees with the one before.

        Raises:
            CampaignError: No model was trained yet.
        """
        return read_model_state(self.context)

    def agreement_sentences(self) -> list[str]:
        """Return how far two annotators agree on the images that both labelled; empty without such images."""
        return agreement_sentences(self.context)

    def team(self) -> Team:
        """Return the annotators with their speed, and their agreement on images that two of them labelled."""
        return read_team(self.context)

    def curve(self) -> list[CurvePoint]:
        """Return the learning curve so far: accuracy with its 95 % interval, by labels.

        All points are measured on the images held out at the last training: earlier models are measured again.
        """
        return read_curve(self.context)

    def report(self, out: Path | str | None = None) -> Path:
        """Write one self-contained HTML page, by default `report.html` in the campaign folder; return its path."""
        from minimax_al.campaign.package.reporting import write_report  # noqa: PLC0415 - loads matplotlib

        path = Path(out) if out is not None else self.folder / "report.html"
        write_report(self.context, self.status(), self.curve(), path)
        return path

    def predict(self, images: Path | str, progress: Progress | None = None) -> "Predictions":
        """Predict all images of a folder, manifest or URL with the last trained model, in float32.

        Raises:
            CampaignError: No model was trained yet.
        """
        from minimax_al.deployment.prediction import predict_folder  # noqa: PLC0415 - loads torch

        return predict_folder(self._trained(self.model().run), locate(images), progress)

    def evaluate(
        self, images: Path | str, masks: Path | str | None = None, *, out: Path | str | None = None
    ) -> EvaluationResult:
        """Measure the last trained model on a test set of your own; the model's card then has the result.

        Args:
            images: For classes, a folder of class folders, or a CSV or Parquet file of paths and labels; for masks, a
                folder of images.
            masks: Folder of the true masks, in a campaign of masks.
            out: CSV file for the predictions, wrong ones first; None for none.

        Raises:
            CampaignError: No model was trained yet.
            DataError: The test set has no usable image, or a label that the model does not know.
            ConfigurationError: Masks are missing, or given in a campaign of classes.
            OSError: The file for the predictions cannot be written; nothing was measured.
        """
        from minimax_al.campaign.package.own_test_set import evaluate_test_set, write_predictions  # noqa: PLC0415 - torch

        if out is not None:
            check_file_to_write(Path(out))
        run = self.model().run
        truth = None if masks is None else Path(masks)
        result, predictions = evaluate_test_set(self.context, self._trained(run), Path(images), truth)
        write_evaluation(run_folder(self.folder, run), result)
        if out is not None:
            write_predictions(Path(out), predictions)
        return result

    def package(self, out: Path | str, *, onnx: bool = True) -> Path:
        """Write the last trained model into a new folder: weights, classes, preprocessing, ONNX, model card.

        Args:
            out: Folder to write; must be new or empty.
            onnx: Whether to write an ONNX file, checked against the model (extra `export`).

        Raises:
            CampaignError: No model was trained yet, the folder is not empty, or the ONNX file disagrees with the model.
        """
        from minimax_al.campaign.package.packaging import package_model  # noqa: PLC0415 - loads torch

        state = self.model()
        test = read_evaluation(run_folder(self.folder, state.run))
        package_model(self.context, self._trained(state.run), state, Path(out), onnx=onnx, test=test)
        return Path(out)

    def _trained(self, run: int) -> "Trained":
        from minimax_al.deployment.model_file import load_trained  # noqa: PLC0415 - loads torch

        return load_trained(run_folder(self.folder, run))
