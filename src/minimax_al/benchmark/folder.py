"""What a results folder says of itself: the protocol that it was run under, and where its numbers come from."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from minimax_al.benchmark.facts import facts_of, write_facts
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.provenance import provenance
from minimax_al.data import Dataset
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError, invalid_setting
from minimax_al.locks import file_lock

GROWING = {"strategies", "seeds", "data"}
"""Fields of a protocol that may change between two calls on one results folder: more cells, or data moved."""

LOCK = "lock"
"""Lock file of a results folder, and of each cell's folder."""

PATIENCE_SECONDS = 60.0
"""How long to wait for another process that prepares the same folder."""


def prepare_folder(protocol: Protocol, out: Path, dataset: Dataset) -> None:
    """Write the resolved protocol to a results folder, or check that it is that folder's; note data and provenance.

    Cells that an earlier call asked for stay asked for, also where two calls come at once.

    Raises:
        ResultsError: the folder holds results of another configuration (names the keys that differ), cannot be
            written, or is being prepared by another process all the time.
        ConfigurationError: the protocol does not fit the data of one of its seeds; then nothing is written.
    """
    with file_lock(out / LOCK, PATIENCE_SECONDS, error=ResultsError) as is_ours:
        if not is_ours:
            raise ResultsError(
                f"another process has been preparing the folder {str(out)!r} for {PATIENCE_SECONDS:g} seconds: see "
                "what it waits for, then try again"
            )
        protocol = _with_earlier_cells(protocol, out)
        facts, earlier, now = facts_of(protocol, dataset), read_provenance(out), provenance(protocol.recipe.runtime)
        # What could be refused has been: a folder with a protocol takes no other.
        fields = protocol.model_dump(mode="json")
        write_durably(out / "protocol.yaml", yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).encode())
        write_facts(facts, out)
        if now not in earlier:
            write_durably(out / "provenance.yaml", yaml.safe_dump([*earlier, now], sort_keys=False).encode())


def _with_earlier_cells(protocol: Protocol, out: Path) -> Protocol:
    """The protocol with the strategies and seeds of a results folder, which must be of the same configuration."""
    if not (out / "protocol.yaml").exists():
        return protocol
    before = read_protocol(out)
    differing = _differing(before.model_dump(mode="json"), protocol.model_dump(mode="json"))
    if differing:
        raise ResultsError(
            f"folder {str(out)!r} holds results of another configuration; these keys differ: "
            f"{', '.join(differing)}. Give another --out, or the same settings"
        )
    strategies = tuple(dict.fromkeys([*before.strategies, *protocol.strategies]))
    return protocol.model_copy(update={"strategies": strategies, "seeds": max(before.seeds, protocol.seeds)})


def read_protocol(out: Path) -> Protocol:
    """The protocol of a results folder.

    Raises:
        ResultsError: it is no results folder, or its protocol cannot be read.
    """
    path = out / "protocol.yaml"
    if not path.exists():
        raise ResultsError(f"folder {str(out)!r} holds no results of a benchmark: {str(path)!r} is not there")
    try:
        return Protocol.model_validate(_read_yaml(path))
    except ValidationError as error:
        raise ResultsError(str(invalid_setting(error, Protocol, f"file {str(path)!r}"))) from error


def read_provenance(out: Path) -> list[dict[str, Any]]:
    """Command, versions and machine of every call that worked on a results folder, in order; empty where none is noted.

    Raises:
        ResultsError: the file cannot be read.
    """
    path = out / "provenance.yaml"
    entries = _read_yaml(path) if path.exists() else []
    return entries if isinstance(entries, list) else [entries]


def _differing(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, without those that may grow."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    found = []
    for key in keys if prefix else [key for key in keys if key not in GROWING]:
        inner = before.get(key), now.get(key)
        if isinstance(inner[0], dict) and isinstance(inner[1], dict):
            found += _differing(inner[0], inner[1], f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key} ({inner[0]!r} there, {inner[1]!r} now)")
    return found


def _read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ResultsError(f"file {str(path)!r} cannot be read ({error})") from error
