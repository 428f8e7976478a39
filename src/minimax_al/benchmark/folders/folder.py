"""Results folder: the protocol it was run under, the facts of its data, and the provenance of its numbers."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from minimax_al.benchmark.folders.conditions import Conditions, record_conditions, settle_conditions
from minimax_al.benchmark.folders.facts import check_same_data, facts_of, read_facts, write_facts
from minimax_al.benchmark.folders.fingerprint import fingerprint_of
from minimax_al.benchmark.folders.provenance import provenance
from minimax_al.benchmark.folders.trial import check_runnable
from minimax_al.benchmark.protocol import Protocol
from minimax_al.data import Dataset
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError, invalid_setting
from minimax_al.locks import file_lock
from minimax_al.yaml_values import load_yaml

GROWING = {"strategies", "seeds", "data"}
"""Fields of a protocol that may change between two calls on one results folder: more cells, or moved data."""

LOCK = "lock"
"""Lock file of a results folder, and of each cell's folder."""

PATIENCE_SECONDS = 60.0
"""How long to wait for another process that prepares the same folder."""


def prepare_folder(
    protocol: Protocol, out: Path, dataset: Dataset, *, mixed: bool = False, computes: bool = True
) -> Conditions:
    """Write the resolved protocol to a results folder, or check that it has the same one.

    Data, networks and conditions are checked first, so a refused call leaves no folder behind. The cells of earlier
    calls stay requested, also where two calls come at once.

    Args:
        protocol: Protocol of the benchmark.
        out: Results folder.
        dataset: Data set, as `protocol.load()` returns it.
        mixed: Whether other conditions than those of earlier results are accepted.
        computes: Whether this machine runs cells; one that only submits jobs does not record its conditions.

    Returns:
        The conditions under which this process computes.

    Raises:
        ResultsError: The folder has results of another configuration, data set or machine (the message names the
            differences), cannot be written, or another process keeps preparing it.
        ConfigurationError: The protocol does not fit the data of one of its seeds, or its networks cannot be built.
    """
    settings = protocol.recipe.runtime
    check_runnable(protocol, dataset)
    mixed = mixed or not computes
    facts, conditions = facts_of(protocol, dataset), settle_conditions(settings, out, mixed=mixed)
    check_same_data(read_facts(out), facts.fingerprint, out)
    _with_earlier_cells(protocol, out)
    with file_lock(out / LOCK, PATIENCE_SECONDS, error=ResultsError) as is_ours:
        if not is_ours:
            raise ResultsError(
                f"another process has been preparing the folder {str(out)!r} for {PATIENCE_SECONDS:g} seconds: see "
                "why it waits, then try again"
            )
        # Another process may have written meanwhile, so all is checked again before anything is written.
        check_same_data(read_facts(out), facts.fingerprint, out)
        conditions = settle_conditions(settings, out, mixed=mixed)
        whole = _with_earlier_cells(protocol, out)
        if whole.seeds > protocol.seeds:
            facts = facts_of(whole, dataset)
        earlier = read_provenance(out)
        now = provenance(conditions, protocol.strategies, facts.fingerprint)
        fields = whole.model_dump(mode="json")
        write_durably(out / "protocol.yaml", yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).encode())
        write_facts(facts, out)
        if computes:
            record_conditions(conditions, out)
        if now not in earlier:
            write_durably(out / "provenance.yaml", yaml.safe_dump([*earlier, now], sort_keys=False).encode())
    return conditions


def _with_earlier_cells(protocol: Protocol, out: Path) -> Protocol:
    """Return the protocol with the strategies and seeds of its results folder.

    Raises:
        ResultsError: The folder has results of another configuration.
    """
    if not (out / "protocol.yaml").exists():
        return protocol
    before = read_protocol(out)
    differing = differing_keys(before.model_dump(mode="json"), protocol.model_dump(mode="json"))
    if differing:
        raise ResultsError(
            f"folder {str(out)!r} holds results of another configuration; these keys differ: "
            f"{', '.join(differing)}. Give another --out, or the same settings"
        )
    strategies = tuple(dict.fromkeys([*before.strategies, *protocol.strategies]))
    return protocol.model_copy(update={"strategies": strategies, "seeds": max(before.seeds, protocol.seeds)})


def read_protocol(out: Path) -> Protocol:
    """Read the protocol of a results folder; its strategies need not be installed.

    Raises:
        ResultsError: The folder is not a results folder, or its protocol cannot be read.
    """
    path = out / "protocol.yaml"
    if not path.exists():
        raise ResultsError(f"folder {str(out)!r} is not a results folder of a benchmark: {str(path)!r} does not exist")
    try:
        return Protocol.model_validate(_read_yaml(path), context={"reading": True})
    except ValidationError as error:
        raise ResultsError(str(invalid_setting(error, Protocol, f"file {str(path)!r}"))) from error


def read_provenance(out: Path) -> list[dict[str, Any]]:
    """Read command, versions and machine of every call on a results folder, in order; empty if it has none.

    Raises:
        ResultsError: The file cannot be read.
    """
    path = out / "provenance.yaml"
    entries = _read_yaml(path) if path.exists() else []
    return entries if isinstance(entries, list) else [entries]


def check_data_of(out: Path, dataset: Dataset) -> None:
    """Refuse a data set that is not the one of a results folder.

    Raises:
        ResultsError: Parts of the fingerprint differ; the message names them.
    """
    check_same_data(read_facts(out), fingerprint_of(dataset), out)


def differing_keys(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys whose values differ, with both values.

    Args:
        before: Nested settings.
        now: Nested settings.
        prefix: Prefix of the keys; at the top level, without one, keys that may grow are skipped.
    """
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    found = []
    for key in keys if prefix else [key for key in keys if key not in GROWING]:
        inner = before.get(key), now.get(key)
        if isinstance(inner[0], dict) and isinstance(inner[1], dict):
            found += differing_keys(inner[0], inner[1], f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key} ({inner[0]!r} there, {inner[1]!r} now)")
    return found


def _read_yaml(path: Path) -> Any:  # noqa: ANN401 - any content
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"file {str(path)!r} cannot be read ({error})") from error
