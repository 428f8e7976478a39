"""Labelling configurations of Label Studio for the classes of a campaign."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from minimax_al.errors import ConfigurationError
from minimax_al.label_studio.messages import ParsedControl, Project
from minimax_al.vocabulary import Task as Kind

CONTROLS: dict[Kind, tuple[str, ...]] = {
    "classification": ("Choices",),
    "segmentation": ("BrushLabels", "PolygonLabels"),
}
"""Control tags whose results are labels, by the campaign's task."""

_ENTRY = {"Choices": "Choice", "BrushLabels": "Label", "PolygonLabels": "Label"}
_NAMES = {"Choices": "label", "BrushLabels": "label", "PolygonLabels": "polygon"}
_VARIABLE = "image"


@dataclass(frozen=True)
class Configuration:
    """Part of a project's labelling configuration that the bridge needs.

    Attributes:
        image: Name of the image's tag (`toName` of the controls).
        variable: Field of a task's data that has the image's address.
        controls: Name of each control, by its tag.
        missing: Classes of the campaign that a control does not offer, by its tag.
    """

    image: str
    variable: str
    controls: dict[str, str]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)


def make_configuration(kind: Kind, class_names: Sequence[str]) -> str:
    """Return a labelling configuration as XML: the image, the reason of its pick, and a control for the classes.

    Example:
        >>> make_configuration("classification", ["cat", "dog"]).count("<Choice ")
        2
    """
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="$reason", size="6")
    ET.SubElement(view, "Image", name=_VARIABLE, value=f"${_VARIABLE}", zoom="true", zoomControl="true")
    for tag in CONTROLS[kind]:
        rules = {"choice": "single", "required": "true", "showInline": "true"} if tag == "Choices" else {}
        control = ET.SubElement(view, tag, {"name": _NAMES[tag], "toName": _VARIABLE, **rules})
        _add_entries(control, class_names)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def read_configuration(project: Project, kind: Kind, class_names: Sequence[str]) -> Configuration:
    """Return the part of a project's configuration that the bridge needs.

    Args:
        project: Project with its configuration.
        kind: Task of the campaign.
        class_names: Classes of the campaign.

    Raises:
        ConfigurationError: The configuration cannot hold the campaign's labels.
    """
    where = f"the Label Studio project {project.title!r} ({project.id})"
    found = {
        control.type: (name, control)
        for name, control in reversed(project.parsed_label_config.items())
        if control.type in CONTROLS[kind] and any(source.type == "Image" for source in control.inputs)
    }
    if not found:
        here = ", ".join(sorted({control.type for control in project.parsed_label_config.values()})) or "nothing"
        raise ConfigurationError(
            f"{where} has no {' or '.join(CONTROLS[kind])} on an Image, as {kind} needs, but {here}: "
            "give another project, or the title of a new one"
        )
    missing = {tag: _compare(where, control, class_names) for tag, (_, control) in found.items()}
    _, first = next(iter(found.values()))
    source = next(source for source in first.inputs if source.type == "Image")
    return Configuration(
        image=first.to_name[0],
        variable=(source.value or _VARIABLE).removeprefix("$"),
        controls={tag: name for tag, (name, _) in found.items()},
        missing={tag: names for tag, names in missing.items() if names},
    )


def extended(label_config: str, found: Configuration) -> str:
    """Return the XML of a configuration with the classes that its controls lack."""
    view = ET.fromstring(label_config)  # noqa: S314 - from the user's own server, which has parsed it too
    for tag, names in found.missing.items():
        control = next(element for element in view.iter(tag) if element.get("name") == found.controls[tag])
        _add_entries(control, names)
    return ET.tostring(view, encoding="unicode")


def _compare(where: str, control: ParsedControl, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that a control lacks; refuse other classes that it offers."""
    offered = [str(attributes.get("alias") or name) for name, attributes in control.labels_attrs.items()]
    offered = offered or control.labels
    other = [name for name in offered if name not in class_names]
    if other:
        raise ConfigurationError(
            f"{where} has other classes: its {control.type} offers {', '.join(map(repr, other))}, which the campaign "
            f"({', '.join(class_names)}) does not have: add them to the campaign, remove them from the project, or "
            "give another project"
        )
    return tuple(name for name in class_names if name not in offered)


def _add_entries(control: ET.Element, class_names: Sequence[str]) -> None:
    tag = _ENTRY[control.tag]
    for name in class_names:
        attributes = {} if tag == "Choice" else {"background": _colour(len(control))}
        ET.SubElement(control, tag, {"value": name, **attributes})


def _colour(number: int) -> str:
    """Return the colour of a class: hues a golden angle apart differ for any number of classes."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.381966 % 1, 0.85, 0.9)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
