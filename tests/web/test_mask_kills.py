"""A server killed while it saves a mask, at every step: the mask is whole or absent, and label and file agree."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from minimax_al.campaign import Campaign
from minimax_al.campaign.masks.drafts import DRAFTS, DraftFiles
from minimax_al.campaign.store.schema import labels

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

MASK = np.arange(16 * 20, dtype=np.uint8).reshape(16, 20) % 2


@pytest.fixture
def put():
    """Return a function that sends a mask to a server that dies before a step: exit code, and number of steps."""
    child = Path(__file__).with_name("mask_child.py")
    process = subprocess.Popen([sys.executable, str(child)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def put(folder, path, mask, step):
        process.stdin.write(json.dumps({"folder": str(folder), "path": path, "mask": str(mask), "step": step}) + "\n")
        process.stdin.flush()
        code, steps = process.stdout.readline().split()
        return int(code), int(steps)

    yield put
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def template(tmp_path, images):
    folder = tmp_path / "template"
    for number in range(8):
        Image.fromarray(np.full((16, 20, 3), number, np.uint8)).save(images / f"{number}.png")
    with Campaign.create(folder, images, ["cat", "dog"], "segmentation", near_duplicates="off") as campaign:
        campaign.query(4)
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    return folder


def whole_masks(folder):
    """Every mask file of a campaign that is not a leftover of a killed write, decoded."""
    found = {}
    for path in (folder / "masks").rglob("*.png"):
        if not path.name.startswith("."):
            with Image.open(path) as image:
                found[path.stem] = np.asarray(image)
    return found


def test_a_mask_is_saved_whole_once_or_not_at_all(template, put, tmp_path):
    with Campaign.open(template) as campaign:
        pick = campaign.picks()[0]
    address = f"/api/masks/{pick.item}?author=ann"
    _, steps = put(shutil.copytree(template, tmp_path / "whole"), address, tmp_path / "mask.png", 0)
    assert steps > 8
    outcomes = set()
    for step in range(1, steps + 1):
        folder = shutil.copytree(template, tmp_path / f"step {step}")
        assert put(folder, address, tmp_path / "mask.png", step)[0] == -signal.SIGKILL
        files = whole_masks(folder)
        with Campaign.open(folder) as campaign:
            name = campaign.labels().get(pick.path)
            outcome = bool(files), name is not None
            assert all((mask == MASK).all() for mask in files.values())
            assert name is None or name in files
        if outcome in outcomes:
            continue
        outcomes.add(outcome)
        code, _ = put(folder, address, tmp_path / "mask.png", 0)  # the page sends it again under the same key
        assert code == 0
        with Campaign.open(folder) as campaign:
            assert (campaign.masks.load(campaign.labels()[pick.path]) == MASK).all()
            with campaign.store.reading() as connection:
                assert connection.execute(select(func.count()).select_from(labels)).scalar_one() == 1
    # Killed before the file, between file and label, and after the label: never a label without its file.
    assert outcomes == {(False, False), (True, False), (True, True)}


def test_a_draft_is_the_old_one_or_the_new_one(template, put, tmp_path):
    with Campaign.open(template) as campaign:
        pick = campaign.picks()[0]
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    Image.fromarray(np.full((16, 20), 1, np.uint8)).save(first)
    Image.fromarray(np.full((16, 20), 255, np.uint8)).save(second)
    address = f"/api/drafts/{pick.item}?author=ann&at="
    assert put(template, address + "1", first, 0)[0] == 0
    _, steps = put(shutil.copytree(template, tmp_path / "whole"), address + "2", second, 0)
    times = []
    for step in range(1, steps + 1):
        folder = shutil.copytree(template, tmp_path / f"step {step}")
        assert put(folder, address + "2", second, step)[0] == -signal.SIGKILL
        (path,) = (path for path in (folder / DRAFTS).rglob("*.png") if not path.name.startswith("."))
        with Campaign.open(folder) as campaign:
            ids = [1, 2]
            draft = DraftFiles(folder / DRAFTS).load(path.name.split("-")[0], "ann", ids)
            assert campaign.labels() == {}
        times.append(draft.at)
        assert (draft.mask == {1: 1, 2: 255}[draft.at]).all()
    assert times == sorted(times)
    assert set(times) == {1, 2}
