"""Routes that edit the classes: add, rename, merge, and delete those without labels."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from minimax_al.campaign import Campaign
from minimax_al.web.models import ClassesChanged, ClassName, ClassUse, Request
from minimax_al.web.refusals import declared
from minimax_al.web.roles import ManagerOnly
from minimax_al.web.state import TheCampaign, TheState

router = APIRouter(prefix="/api/classes", tags=["classes"], dependencies=[ManagerOnly])
_REFUSALS = declared(400, 408, 413, 422)


class AddClasses(Request):
    """Request to add classes after the existing ones."""

    names: Annotated[list[ClassName], Field(min_length=1, max_length=500)]


class RenameClass(Request):
    """Request to rename a class; its labels stay with it."""

    old: ClassName
    new: ClassName


class MergeClasses(Request):
    """Request to give all labels of some classes another class, and remove the classes."""

    names: Annotated[list[ClassName], Field(min_length=1, max_length=500)]
    into: ClassName


class RemoveClass(Request):
    """Request to remove a class that has no labels."""

    name: ClassName


@router.get("")
def classes(campaign: TheCampaign) -> list[ClassUse]:
    """Return the classes in order, each with its number of labels."""
    counts = campaign.count_class_labels()
    return [ClassUse(name=name, labels=counts.get(name, 0)) for name in campaign.classes]


@router.post("/add", responses=_REFUSALS)
def add(asked: AddClasses, state: TheState) -> ClassesChanged:
    """Add classes."""
    state.campaign.add_classes(asked.names)
    return _changed(state.campaign, 0)


@router.post("/rename", responses=_REFUSALS)
def rename(asked: RenameClass, state: TheState) -> ClassesChanged:
    """Rename a class."""
    state.campaign.rename_class(asked.old, asked.new)
    state.readings.forget()
    return _changed(state.campaign, 0)


@router.post("/merge", responses=_REFUSALS)
def merge(asked: MergeClasses, state: TheState) -> ClassesChanged:
    """Merge classes into another."""
    changed = state.campaign.merge_classes(asked.names, asked.into)
    state.readings.forget()
    return _changed(state.campaign, changed)


@router.post("/remove", responses=_REFUSALS)
def remove(asked: RemoveClass, state: TheState) -> ClassesChanged:
    """Remove a class without labels."""
    state.campaign.remove_class(asked.name)
    state.readings.forget()
    return _changed(state.campaign, 0)


def _changed(campaign: Campaign, labels: int) -> ClassesChanged:
    return ClassesChanged(classes=list(campaign.classes), labels=labels)
