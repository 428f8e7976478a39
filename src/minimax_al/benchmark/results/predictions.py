"""Export of a benchmark's predictions on the test images."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from minimax_al.benchmark.folders.round_files import read_predictions
from minimax_al.benchmark.results.results import Results, read_results
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ResultsError

COLUMNS = ("strategy", "seed", "round", "labels", "image", "class", "predicted", "confidence")


def write_predictions(out: Path, path: Path, data: Path | None = None, *, every_round: bool = False) -> int:
    """Write the predictions of all finished runs as one CSV file, one row per run, round and test image.

    Args:
        out: Results folder.
        path: CSV file; its folder is created.
        data: Path of the data, if it has moved. Without the data images are named by their number.
        every_round: Whether all rounds are written, not only the last one of each run.

    Returns:
        Number of rows.

    Raises:
        ResultsError: The folder is not a results folder, or its rounds have no predictions.
    """
    results = read_results(out, data)
    if results.facts.task == "segmentation":
        raise ResultsError(f"folder {str(out)!r} has results on masks: predictions are stored only in classification")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = 0
    for row in _rows(results, every_round=every_round):
        writer.writerow(row)
        rows += 1
    write_durably(path, text.getvalue().encode())
    return rows


def _rows(results: Results, *, every_round: bool) -> Iterator[tuple[object, ...]]:
    classes = results.facts.class_names
    for cell, rounds in results.rounds.items():
        names = None
        if results.dataset is not None:
            names = results.protocol.dataset_for(results.dataset, cell.seed).test.names
        for result in rounds if every_round else rounds[-1:]:
            try:
                kept = read_predictions(cell.folder(results.out), result.round)
            except CheckpointError as error:
                raise ResultsError(
                    f"{cell.strategy!r}, seed {cell.seed}, round {result.round} has no predictions ({error}): results"
                    " of older versions keep none"
                ) from error
            run = (cell.strategy, cell.seed, result.round, result.labels)
            values = zip(kept["target"].tolist(), kept["predicted"].tolist(), kept["confidence"].tolist(), strict=True)
            for index, (target, predicted, confidence) in enumerate(values):
                name = index if names is None else names[index]
                yield (*run, name, classes[target], classes[predicted], f"{confidence:.6f}")
