"""Part of a campaign that changes labels afterwards: edits of the classes, and withdrawal of labels."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from minimax_al.campaign.answers.answers import withdraw
from minimax_al.campaign.answers.class_changes import ClassChange
from minimax_al.campaign.classes.classes import add_classes, store_name
from minimax_al.campaign.masks.precomputed import retried
from minimax_al.campaign.masks.renumbering import rewriting
from minimax_al.campaign.methods.arguments import Item, find_items
from minimax_al.campaign.methods.leading import Leading

T = TypeVar("T")


class ClassEditing(Leading):
    """Changes of a campaign's classes, with the history of labels kept; `Campaign` adds the rest."""

    def add_classes(self, names: Sequence[str]) -> None:
        """Add classes after the existing ones."""
        with self.store.writing() as connection:
            add_classes(connection, names)

    def count_class_labels(self) -> dict[str, int]:
        """Return the number of labels of each class, by name; of masks that show the class in segmentation."""
        with self.store.reading() as connection:
            return ClassChange(connection, self.settings, self.masks, rewriting(self.masks), self.now()).count()

    def rename_class(self, old: str, new: str) -> None:
        """Rename a class; its labels stay with it.

        Raises:
            UnknownNameError: The class does not exist.
            DataError: Another class has the new name, or one that looks the same.
            ConfigurationError: The new name is invalid.
        """
        with self.store.writing() as connection:
            store_name(connection, old, new)

    def merge_classes(self, names: Sequence[str], into: str) -> int:
        """Give all labels of some classes another class, and remove the classes.

        Args:
            names: Classes to merge.
            into: Class that remains.

        Returns:
            Number of images whose label changed; the former labels stay in the history.

        Raises:
            UnknownNameError: A class does not exist.
            ConfigurationError: `into` is among `names`, or only one class would remain.
        """
        return self._change_classes(lambda change: change.merge(names, into))

    def remove_class(self, name: str, *, withdraw_labels: bool = False) -> int:
        """Remove a class.

        Args:
            name: Class to remove.
            withdraw_labels: Whether its labels are withdrawn, and its pixels in masks become void; otherwise a class
                with labels is refused.

        Returns:
            Number of images that lost their label or pixels.

        Raises:
            UnknownNameError: The class does not exist.
            DataError: It has labels, and `withdraw_labels` is not set.
            ConfigurationError: One class alone would remain.
        """
        return self._change_classes(lambda change: change.remove(name, withdraw_labels=withdraw_labels))

    def reorder_classes(self, names: Sequence[str]) -> None:
        """Change the order of the classes, which is that of the keys on the page and of the numbers in masks.

        Args:
            names: All classes, in the new order.

        Raises:
            DataError: A class is missing, unknown, or there twice.
        """
        self._change_classes(lambda change: change.reorder(names))

    def _change_classes(self, make: Callable[[ClassChange], T]) -> T:
        """Run a change of the classes in a transaction; masks are written anew before it."""
        rewritten = rewriting(self.masks)

        def change() -> T:
            with self.store.writing() as connection:
                return make(ClassChange(connection, self.settings, self.masks, rewritten, self.now()))

        found = retried(change)
        self.views.clear()  # predicted pixels are numbers of the former classes
        return found

    def withdraw_labels(self, images: Sequence[Item], author: str) -> int:
        """Withdraw the answers of images, of every author; the history keeps them as withdrawn.

        Args:
            images: Ids or paths of the images.
            author: Author of the withdrawal.

        Returns:
            Number of images that had an answer.

        Raises:
            DataError: An image is not in the campaign.
        """
        with self.store.writing() as connection:
            return withdraw(connection, find_items(connection, images), author, self.now())
