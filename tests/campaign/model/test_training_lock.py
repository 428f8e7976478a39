import subprocess
import sys

import pytest

from minimax_al.campaign.model.training_lock import LOCK, training_alone
from minimax_al.errors import CampaignError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

HOLDER = """
import sys
from minimax_al.campaign import Campaign
from minimax_al.campaign.model.training_lock import training_alone
with training_alone(Campaign.open(sys.argv[1]).context):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_training_lock_ends_with_its_process(make_campaign):
    campaign = make_campaign(recipe=TINY_RECIPE, stored_size=16)
    for item in range(1, 9):
        campaign.label(item, ("cat", "dog")[item % 2], author="ann")
    held = [sys.executable, "-c", HOLDER, str(campaign.folder)]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CampaignError, match="another training runs on the campaign"):
            campaign.train()
        with pytest.raises(CampaignError, match="another training runs on the campaign"):
            campaign.query(2)
        other.kill()
    heard = []
    model = campaign.train(on_start=lambda *said: heard.append(said))
    assert heard == [("badge+mal", model.labels, model.held_out)]
    campaign.train(on_start=lambda *said: heard.append(said))  # trained already: nothing starts
    assert len(heard) == 1
    assert campaign.query(2).picks == 2


def test_an_error_releases_the_training_lock(make_campaign):
    context = make_campaign().context
    with pytest.raises(ZeroDivisionError, match="division"), training_alone(context):
        1 / 0  # noqa: B018
    with training_alone(context):
        pass


def test_an_unwritable_folder_is_reported(make_campaign):
    context = make_campaign().context
    if not context.store.is_sqlite:
        pytest.skip("PostgreSQL holds the lock itself")
    (context.folder / LOCK).mkdir()
    with pytest.raises(CampaignError, match=r"training\.lock' cannot be written"), training_alone(context):
        pass
