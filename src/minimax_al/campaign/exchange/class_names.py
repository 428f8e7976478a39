"""Class names of a new campaign, as its labels name them."""

from pathlib import Path

from minimax_al.data.locations.location import Location
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.data.masks.void_names import is_void
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.label_formats import Context, check_source, detect_format, get_format
from minimax_al.label_formats.coco import read_categories
from minimax_al.label_formats.mask_folder import read_colour_map_of
from minimax_al.vocabulary import Task


def read_class_names(source: Path | None, images: Location, task: Task) -> list[str]:
    """Return the classes that labels name: class folders and table labels sorted, categories and colours in order.

    Args:
        source: File or folder of labels for the new campaign; None if it starts without labels.
        images: Location of the images.
        task: Kind of label.

    Raises:
        ConfigurationError: Nothing names the classes.
        DataError: The labels cannot be read.
    """
    if source is None:
        raise ConfigurationError(
            "nothing names the classes: give their names (--classes), or labels that name them (--labels)"
        )
    name = detect_format(source, task)
    get_format(name, task)
    check_source(source, name)
    if name == "coco":
        return read_categories(source)
    if task == "segmentation":
        names = [] if name != "masks" else [one for one in read_colour_map_of(source) if not is_void(one)]
        if not names:
            raise ConfigurationError(f"{str(source)!r} does not name the classes: give their names (--classes)")
        return names
    context = Context(task, (), images, MaskFiles(Path(str(images))))  # masks of classes are neither read nor written
    found = get_format(name, task).read(source, context)
    labels = {given.class_name for given in found if not isinstance(given, DataError) and given.class_name is not None}
    return sorted(labels)
