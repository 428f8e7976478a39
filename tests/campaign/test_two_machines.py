"""Two machines with one PostgreSQL: two processes, each with a campaign folder of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minimax_al.campaign import Campaign
from minimax_al.campaign.model.training_lock import training_alone
from minimax_al.errors import CampaignError
from minimax_al.networks import build_encoder

from ..support.campaigns import POSTGRESQL, storage  # noqa: F401, TID252 - fixtures
from ..support.fakes import random_image  # noqa: TID252
from .two_machines_child import class_of

pytestmark = pytest.mark.skipif(POSTGRESQL is None, reason="MINIMAX_AL_TEST_POSTGRESQL names no PostgreSQL server")
CHILD = Path(__file__).with_name("two_machines_child.py")


class Machine:
    def __init__(self, folder):
        words = [sys.executable, CHILD, folder]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "open"

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def pool(tmp_path):
    for number in range(24):
        path = tmp_path / "images" / f"{number:02d}-{('cat', 'dog')[number % 2]}.png"
        path.parent.mkdir(exist_ok=True)
        random_image(number, (24, 20)).save(path)
    return tmp_path / "images"


@pytest.fixture
def here(make_campaign, pool, tmp_path):
    torch.manual_seed(0)
    save_file(build_encoder("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    source = {"encoder": "resnet18", "weights": str(tmp_path / "resnet18.safetensors"), "input_size": 32}
    options = {"recipe": "features", "features": source, "near_duplicates": "off", "storage": POSTGRESQL}
    make_campaign(classes=("cat", "dog"), images=pool, folder="here", **options)
    return make_campaign.track(Campaign.open(tmp_path / "here"))  # by the clock that the other machine has


@pytest.fixture
def there(here, tmp_path):
    """The other machine: its folder has the address of the database and nothing else."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "storage.json").write_bytes((here.folder / "storage.json").read_bytes())
    machine = Machine(tmp_path / "there")
    yield machine
    machine.stop()


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("storage")
class TestTwoMachines:
    def test_they_share_rounds_leases_labels_and_models(self, here, there, tmp_path):
        here.query(10)
        mine = {pick.path for pick in here.lease("ann", 4).picks}
        theirs = set(there("lease", "bob", 4))
        assert len(mine) == len(theirs) == 4
        assert not mine & theirs
        for pick in here.lease("ann", 4).picks:
            here.label(pick.item, class_of(pick.path), author="ann")
        assert there("label", "bob", 4) == 4
        assert there("label", "bob", 4) == 2
        assert len(here.labels()) == 10
        with training_alone(here.context):
            assert "another training runs" in there("train")["error"]
        assert there("train") == 10
        assert here.train().labels == 10  # the same run, whose model this machine computes for itself
        assert there("query", 5) == 2
        assert [pick.path for pick in here.picks()] == there("picks")
        assert there("status") == [dict(here.status().items), 10, 10]
        # No file is locked, and SQLite is used nowhere.
        for folder in (tmp_path / "here", tmp_path / "there"):
            assert not [path for path in folder.rglob("*") if path.suffix in {".lock", ".db"}]

    def test_the_lock_of_a_killed_process_is_free(self, here):
        code = (
            "import sys; from minimax_al.campaign import Campaign\n"
            "from minimax_al.campaign.model.training_lock import training_alone\n"
            "campaign = Campaign.open(sys.argv[1])\n"
            "with training_alone(campaign.context):\n    print('held', flush=True); sys.stdin.read()"
        )
        words = [sys.executable, "-c", code, here.folder]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(CampaignError, match="another training runs"), training_alone(here.context):
                pass
            holder.kill()
            holder.wait()
        with training_alone(here.context):
            pass


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_rows_are_copied_with_every_kind_of_value(make_campaign, storage, tmp_path):  # noqa: F811
    """More rows than COPY needs, with text that COPY has to escape."""
    names = [f'a\\t"b{number}\u00e9, c.png' for number in range(150)]
    for number, name in enumerate(names):
        random_image(number, (20, 16)).save(tmp_path / name)
    lines = ["path;note", *('"' + name.replace('"', '""') + f'";"x\\y; {number}"' for number, name in enumerate(names))]
    (tmp_path / "pool.csv").write_text("\n".join(lines), encoding="utf-8")
    campaign = make_campaign(images=tmp_path / "pool.csv", storage=storage, near_duplicates="off")
    assert campaign.status().items == {"active": 150}
    with Campaign.open(campaign.folder) as again:
        assert str(again.refresh()) == "nothing new"
        again.query(1, where='note = "x\\y; 7"')
        assert [pick.path for pick in again.picks()] == [names[7]]
