import subprocess
import sys

SESSION = """
import sys
from pathlib import Path
from minimax_al.campaign import Campaign
folder, images = map(Path, sys.argv[1:])
with Campaign.create(folder / "c", images, ["cat", "dog"], recipe="scratch") as campaign:
    campaign.query(4)
    for pick in campaign.lease("ann", 4).picks:
        campaign.label(pick.item, "cat", author="ann")
    campaign.undo("ann")
    campaign.export("csv", folder / "out.csv")
    campaign.export("coco", folder / "out.json")
with Campaign.open(folder / "c") as campaign:
    campaign.import_labels(folder / "out.csv")
    campaign.refresh()
    campaign.status()
    campaign.picks()
    campaign.curve()
    campaign.pick(pick.item)
    campaign.image(pick.item)
    campaign.view(pick.item, "label")
    campaign.configure(strategy="entropy")
heavy = {"torch", "torchvision", "matplotlib", "scipy", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_campaign_needs_no_torch_until_it_trains(tmp_path, save_images):
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(tmp_path), str(save_images())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
