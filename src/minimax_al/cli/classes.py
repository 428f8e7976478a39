"""Command that lists and changes a campaign's classes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from minimax_al.cli.arguments import CampaignFolder
from minimax_al.cli.printing import show, show_table

if TYPE_CHECKING:
    from minimax_al.campaign import Campaign

Action = Literal["list", "add", "rename", "merge", "remove", "reorder"]


def classes(
    folder: CampaignFolder,
    action: Action = "list",
    names: Annotated[tuple[str, ...], "[CLASS ...]"] = (),
    /,
    withdraw_labels: bool = False,
) -> None:
    """List or change a campaign's classes; labels and their history are kept.

    Args:
        folder: Campaign folder.
        action: Change to make: `add CLASS ...`; `rename OLD NEW`; `merge CLASS ... INTO`, whose last class remains;
            `remove CLASS`; `reorder CLASS ...` with all classes in the new order; or `list`.
        names: Classes that the change is about.
        withdraw_labels: With `remove`, withdraw the labels of the class; otherwise a class with labels is refused.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        if action == "list":
            _check(names, "list", least=0, most=0)
        else:
            show(_CHANGES[action](campaign, names, withdraw_labels))
        counts = {entry.name: entry.labels for entry in campaign.status().classes}
        show_table(("class", "labels"), [(name, f"{counts[name]:,}" if counts else "–") for name in campaign.classes])


def _add(campaign: "Campaign", names: Sequence[str], _: bool) -> str:
    _check(names, "add CLASS ...", least=1)
    campaign.add_classes(names)
    return f"Added: {', '.join(names)}."


def _rename(campaign: "Campaign", names: Sequence[str], _: bool) -> str:
    _check(names, "rename OLD NEW", least=2, most=2)
    campaign.rename_class(*names)
    return f"{names[0]} is now {names[1]}."


def _merge(campaign: "Campaign", names: Sequence[str], _: bool) -> str:
    _check(names, "merge CLASS ... INTO", least=2)
    changed = campaign.merge_classes(names[:-1], into=names[-1])
    return f"{', '.join(names[:-1])} merged into {names[-1]}: {changed:,} labels changed."


def _remove(campaign: "Campaign", names: Sequence[str], withdraw_labels: bool) -> str:
    _check(names, "remove CLASS", least=1, most=1)
    withdrawn = campaign.remove_class(names[0], withdraw_labels=withdraw_labels)
    return f"{names[0]} is removed: {withdrawn:,} labels withdrawn."


def _reorder(campaign: "Campaign", names: Sequence[str], _: bool) -> str:
    _check(names, "reorder CLASS ...", least=2)
    campaign.reorder_classes(names)
    return "The classes have a new order."


def _check(names: Sequence[str], form: str, *, least: int, most: int | None = None) -> None:
    from minimax_al.errors import ConfigurationError

    if len(names) < least or (most is not None and len(names) > most):
        given = f"{len(names)} class name{'s' * (len(names) != 1)}"
        raise ConfigurationError(f"{given} given: write mal classes CAMPAIGN {form}")


_CHANGES: dict[str, Callable[["Campaign", Sequence[str], bool], str]] = {
    "add": _add,
    "rename": _rename,
    "merge": _merge,
    "remove": _remove,
    "reorder": _reorder,
}
