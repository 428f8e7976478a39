"""Campaign: annotators label the images that it chooses, and it learns from them.

    campaign = Campaign.create("herons", images="photos", classes=["grey heron", "egret", "neither"])
    campaign.query(200)                       # the first round is drawn at random
    lease = campaign.lease("ann", 20)         # reserved for ann
    campaign.label(lease.picks[0].item, "egret", author="ann")
    campaign.train()
    campaign.query(200)                       # Minimax Active Learning chooses
    print(campaign.status().advice.reason)

Everything is in one folder, and changes are on the disk when a method returns. Only `train`, `predict`, `evaluate`,
`package` and a `query` that needs a model load torch. One object can serve many threads; many processes can have the
same campaign open.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from minimax_al.campaign.context import utc_now
from minimax_al.campaign.exchange.class_names import read_class_names
from minimax_al.campaign.exchange.exporting import Export, export_labels
from minimax_al.campaign.exchange.importing import Import, import_labels
from minimax_al.campaign.exchange.picks import ExportedPicks, export_picks
from minimax_al.campaign.folder import closed_on_failure, create_folder, open_folder, removed_on_failure
from minimax_al.campaign.images.duplicates import free_near_duplicates
from minimax_al.campaign.images.images_folder import check_apart, check_holds_images, check_usable, images_folder
from minimax_al.campaign.images.inventory import Duplicate, FileState, list_duplicates, list_unusual_files
from minimax_al.campaign.images.refresh import accept_changed, refresh_items
from minimax_al.campaign.images.refresh_result import Refresh
from minimax_al.campaign.methods.arguments import as_budget, as_share
from minimax_al.campaign.methods.modelling import Modelling
from minimax_al.campaign.opinions.second_opinions import judge_again
from minimax_al.campaign.rounds.querying import open_round
from minimax_al.campaign.rounds.rounds import Choice, RoundState
from minimax_al.campaign.settings.named_recipes import COLD_START_ON_FEATURES, IN_RECIPE, merge, with_recipe
from minimax_al.campaign.settings.settings import (
    CampaignSettings,
    check_crop,
    check_instructions,
    make_settings,
    read_settings,
    write_settings,
)
from minimax_al.campaign.store.database import WAIT_SECONDS
from minimax_al.campaign.store.history import has_labels
from minimax_al.data.locations.location import known_location, locate
from minimax_al.errors import ConfigurationError
from minimax_al.label_formats import check_source, detect_format
from minimax_al.strategies.usual import check_choosing, check_training, is_cold_start
from minimax_al.vocabulary import Progress, Task

if TYPE_CHECKING:
    from minimax_al.campaign.model.learning import StartCallback


class Campaign(Modelling):
    """Labelling campaign in a folder; get one from `create` or `open`.

    Attributes:
        folder: Campaign folder.
        store: Database.
        settings: Settings at the last read; change them with `configure`.
        masks: Masks of a segmentation campaign.
    """

    @classmethod
    def create(
        cls,
        folder: Path | str,
        images: Path | str,
        classes: Sequence[str] | None,
        task: Task = "classification",
        labels: Path | str | None = None,
        *,
        storage: str | None = None,
        clock: Callable[[], datetime] | None = None,
        progress: Progress | None = None,
        **settings: object,
    ) -> Self:
        """Make a campaign over a folder of images, and examine all images.

        Args:
            folder: Campaign folder; made if it does not exist.
            images: Folder of the images; nothing is ever written there.
            classes: At least two class names, in order; None for those that `labels` name.
            task: One class per image, or one class per pixel.
            labels: Labels to import at once, as in `import_labels`.
            storage: `postgresql+psycopg://USER@HOST/DATABASE`; None keeps a SQLite file in the folder.
            clock: Function that returns the time, with a time zone.
            progress: Callback of the files that are examined.
            **settings: Further fields of `CampaignSettings`, and `encoder` and `pretrained` as in a recipe. Without a
                recipe, classification learns on the features of the best pretrained encoder that is available;
                `features` may be a file of feature vectors instead (see `minimax_al.data.read_feature_table`).

        Raises:
            CampaignError: The folder has a campaign already.
            ConfigurationError: Classes, storage or a setting are invalid, the folder is among the images, or no
                pretrained encoder is available.
            DataError: The folder of images does not exist or has no usable image, or a label cannot be imported.
                Nothing is made then.
        """
        root, source = Path(folder), None if labels is None else Path(labels)
        if task == "classification" and settings.get("recipe", "features") == "features":
            settings = _on_features(settings)
        chosen = make_settings(images=images_folder(images), task=task, **settings)
        _check(chosen, settings, root)
        check_apart(root, chosen.images)
        if source is not None:
            check_source(source, detect_format(source, task))  # before images are examined, which may take hours
        names = read_class_names(source, known_location(chosen.images), task) if classes is None else classes
        check_usable(chosen.images)
        store = create_folder(root, chosen, names, storage, (clock or utc_now)())
        with closed_on_failure(store):
            campaign = cls(root, store, clock)
            campaign.refresh(progress)
            if source is not None:
                with removed_on_failure(root, store):
                    campaign.import_labels(source)
        return campaign

    @classmethod
    def open(
        cls,
        folder: Path | str,
        storage: str | None = None,
        *,
        clock: Callable[[], datetime] | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> Self:
        """Open a campaign, and migrate its database to the current schema.

        Args:
            folder: Campaign folder.
            storage: URL instead of the one in the folder, for example with a password.
            clock: Function that returns the time, with a time zone.
            wait_seconds: Longest time to wait for another process to release the database.

        Raises:
            CampaignError: The folder has no campaign, or its database cannot be used.
        """
        root = Path(folder)
        store = open_folder(root, storage, wait_seconds)
        with closed_on_failure(store):
            return cls(root, store, clock)

    def configure(self, **changes: object) -> CampaignSettings:
        """Change settings and return all of them; the task and the seed cannot change.

        A partial recipe changes the fields that it gives and keeps all others; the name of a recipe replaces it whole.

        Args:
            **changes: Fields of `CampaignSettings`, and `encoder` and `pretrained`, which are fields of the recipe.

        Raises:
            ConfigurationError: A setting is unknown, cannot change, or has an invalid value.

        Example:
            `campaign.configure(recipe={"task": {"epochs": 20}}, strategy="mal(rule=filter)")`
        """
        fixed = next((name for name in ("task", "seed") if name in changes), None)
        if fixed is not None:
            raise ConfigurationError(f"the campaign's {fixed} cannot change: make another campaign with 'mal new'")
        if "images" in changes:
            changes["images"] = images_folder(str(changes["images"]))
            check_apart(self.folder, str(changes["images"]))
        before = self.settings
        _check(_changed(before, changes), changes, self.folder)  # may take seconds, in which others can write
        with self.store.writing() as connection:
            former = read_settings(connection)
            settings = _changed(former, changes)
            write_settings(connection, settings)
            if settings.mask_agreement != former.mask_agreement:
                judge_again(connection, settings)
            if settings.near_duplicates != before.near_duplicates:
                free_near_duplicates(connection, settings.near_duplicate_distance)
        self.settings = settings
        return settings

    def move_images(self, folder: Path | str, progress: Progress | None = None) -> Refresh:
        """Use another folder of images, to which the known images were moved; labels stay with their images.

        Args:
            folder: Folder that has the images now, under the same relative paths or others.
            progress: Callback of the files that are examined.

        Returns:
            Differences from the folder before.

        Raises:
            DataError: The folder does not exist, or holds none of the campaign's images.
            ConfigurationError: The campaign's folder is inside of it.
        """
        with self.store.reading() as connection:
            check_holds_images(connection, locate(folder))
        self.configure(images=folder)
        return self.refresh(progress)

    def refresh(self, progress: Progress | None = None) -> Refresh:
        """Examine the folder of images again, for new, moved, changed and missing files.

        Args:
            progress: Callback of the files that are examined.
        """
        distance = self.settings.near_duplicate_distance
        return refresh_items(self.store, self.images, distance, self.now(), progress)

    def accept_changed(self, paths: Sequence[str] | None = None) -> int:
        """Confirm the labels of changed images (all, or the given ones); return their number."""
        with self.store.writing() as connection:
            return accept_changed(connection, paths)

    def duplicates(self, most: int | None = None) -> list[Duplicate]:
        """Return at most `most` duplicates, each with the image that represents it, by path."""
        with self.store.reading() as connection:
            return list_duplicates(connection, most)

    def files(self) -> list[FileState]:
        """Return every file that is not simply an active image: duplicates, missing, changed, set aside."""
        with self.store.reading() as connection:
            return list_unusual_files(connection)

    def query(
        self,
        budget: int,
        strategy: str | None = None,
        random_share: float = 0.0,
        progress: Progress | None = None,
        on_start: "StartCallback | None" = None,
        *,
        where: str | None = None,
    ) -> RoundState:
        """Open a round with the images to label next; train first if there are new labels.

        Without labels the images are drawn at random, unless the strategy needs none, as "coverage" (k-center greedy)
        and "typicality" (TypiClust).

        Args:
            budget: Number of images.
            strategy: Strategy that chooses; None for the campaign's.
            random_share: Share of the budget that is drawn at random, in [0, 1].
            progress: Callback of the epochs, or of the images whose features are computed.
            on_start: Callback before a training, with the strategy and the numbers of labels to train on and held out.
            where: Filter on the further columns of a manifest, such as "site = A and year >= 2020"; the pool of the
                round is then the images that pass it.

        Raises:
            UnknownNameError: The strategy, or a column of the filter, is unknown.
            CampaignError: A round is open, or another training runs.
            BudgetError: The budget exceeds the number of candidates.
            DataError: The labels cannot be trained on.
        """
        name = strategy or self._usual_strategy()
        check_choosing(name)
        budget, random_share = as_budget(budget), as_share(random_share)
        context = replace(self.context, where=where)

        def choose(count: int) -> tuple[Sequence[Choice], int | None]:
            from minimax_al.campaign.features import cold_start  # noqa: PLC0415 - loads torch
            from minimax_al.campaign.model import broken_images, learning  # noqa: PLC0415 - load torch

            if is_cold_start(name) and not (self.settings.features and self._has_labels()):

                def describe_and_choose() -> Sequence[Choice]:
                    return cold_start.choose_by_features(context, name, count, progress)

                return broken_images.without_broken_images(context, describe_and_choose), None
            return learning.choose(context, name, count, progress, on_start)

        number = open_round(
            self.store,
            self.settings,
            budget,
            name,
            random_share=random_share,
            choose=choose,
            now=self.now,
            where=where,
        )
        return self.round(number)

    def _usual_strategy(self) -> str:
        """Return the campaign's strategy; on features the first round covers all kinds of images instead."""
        if self.settings.features is None or self.settings.strategy == "random":
            return self.settings.strategy
        return self.settings.strategy if self._has_labels() else COLD_START_ON_FEATURES

    def _has_labels(self) -> bool:
        with self.store.reading() as connection:
            return has_labels(connection)

    def import_labels(
        self,
        path: Path | str,
        *,
        format: str | None = None,  # noqa: A002 - the word that everybody uses
        author: str = "import",
        create_classes: bool = False,
        check: bool = False,
        strip_prefix: str = "",
        shown: Path | None = None,
    ) -> Import:
        """Import labels from a file or folder.

        The import is a transaction: if one label is invalid, none is written, and the error lists every problem.

        Args:
            path: CSV, Parquet, COCO or Label Studio JSON, a folder of class folders, or a folder of masks.
            format: Format of the source; by default recognised by its ending or content.
            author: Author of labels for which the source names none.
            create_classes: Whether unknown classes are added.
            check: Whether to read and check alone, without any change.
            strip_prefix: Start of the names in the source that the campaign's paths do not have.
            shown: File that messages and the outcome name, for an upload; by default `path`.

        Raises:
            DataError: A label cannot be imported; the first 20 are listed.
        """
        return import_labels(
            self.context,
            Path(path),
            format=format,
            author=author,
            create_classes=create_classes,
            check=check,
            strip_prefix=strip_prefix,
            shown=shown,
        )

    def export(self, format: str, out: Path | str, *, escape_formulas: bool = False) -> Export:  # noqa: A002
        """Write all current labels: "csv", "parquet", "imagefolder", "coco", "label-studio" or "masks".

        Args:
            format: Name of the format.
            out: File, which is replaced, or folder, which must be new or empty.
            escape_formulas: Whether cells of a CSV file that Excel would run as formulas begin with an apostrophe.

        Returns:
            Number of labels that were written, and a sentence for each label that was left out.
        """
        return export_labels(self.context, format, Path(out), escape_formulas=escape_formulas)

    def export_picks(self, out: Path | str, number: int | None = None) -> ExportedPicks:
        """Write the images of a round (by default the latest) with reasons: a CSV file, or a folder of copies.

        Args:
            out: CSV file, by its ending `.csv`, or a new folder for the copies and `picks.csv`.
            number: Number of the round; None for the latest.

        Raises:
            CampaignError: The round does not exist, or the folder exists and is not empty.
        """
        picks = self.picks(self.round(number).number)
        return export_picks(picks, self.images, Path(out))


def _on_features(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings with the recipe `features`, and the best encoder that is available unless one is given."""
    if settings.keys() & {"encoder", "features"}:
        return {**settings, "recipe": "features"}
    from minimax_al.campaign.features.recipes import available_encoder  # noqa: PLC0415 - loads torch

    return {**settings, "recipe": "features", "encoder": available_encoder()}


def _changed(settings: CampaignSettings, changes: Mapping[str, object]) -> CampaignSettings:
    recipe = changes.get("recipe")
    merged = {**changes, "recipe": merge(settings.recipe, recipe)} if isinstance(recipe, Mapping) else changes
    given = with_recipe({"task": settings.task, "recipe": settings.recipe, **merged})
    return make_settings(**{**settings.model_dump(), **given})


def _check(settings: CampaignSettings, given: Mapping[str, object], folder: Path) -> None:
    """Refuse a strategy that cannot train, a crop larger than the image, and a recipe that cannot be built.

    Args:
        settings: Settings with the given ones.
        given: Settings that the caller gives; only these may cost seconds, or concern files that can vanish.
        folder: Campaign folder.
    """
    if "instructions" in given:
        check_instructions(settings, folder)
    check_training(settings.strategy, on_features=settings.features is not None)
    check_crop(settings)
    if settings.features is not None or isinstance(given.get("recipe"), Mapping) or given.keys() & set(IN_RECIPE):
        from minimax_al.campaign.features.recipes import check_recipe  # noqa: PLC0415 - loads torch

        check_recipe(settings)
