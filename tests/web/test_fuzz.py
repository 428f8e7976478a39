"""Random requests generated from the API description: every answer fits the description."""

import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.web import create_app
from minimax_al.web.jobs import JobRunsError, Jobs
from minimax_al.web.models import Job

schemathesis = pytest.importorskip("schemathesis", reason="random requests need the dependency group `fuzzing`")
checks = pytest.importorskip("schemathesis.checks")
generation = pytest.importorskip("schemathesis.generation")

ROUTES = (
    "GET /",
    "GET /api/campaign",
    "GET /api/status",
    "GET /api/live",
    "POST /api/lease",
    "POST /api/release",
    "POST /api/label",
    "POST /api/skip",
    "POST /api/unsure",
    "POST /api/undo",
    "GET /api/conflicts",
    "GET /api/likeliest",
    "POST /api/decide",
    "POST /api/decide-mask",
    "GET /api/opinions/{item}/{which}",
    "GET /opinions/{item}/{layer}.png",
    "GET /team",
    "GET /api/classes",
    "POST /api/classes/add",
    "POST /api/classes/rename",
    "POST /api/classes/merge",
    "POST /api/classes/remove",
    "GET /api/picks",
    "GET /images/{item}",
    "GET /thumbnails/{item}",
    "GET /instructions/{name}",
    "GET /views/{item}/{kind}.png",
    "POST /api/jobs",
    "GET /api/job",
    "POST /api/close-round",
    "POST /api/recall",
    "GET /api/export/{format}",
    "POST /api/import",
    "PUT /api/masks/{item}",
    "PUT /api/drafts/{item}",
    "GET /api/drawing/{item}",
    "GET /api/pixels/{item}/{kind}",
    "GET /previews/{item}",
    "GET /api/candidates",
    "GET /api/labels",
    "GET /api/search",
    "POST /api/look-up",
    "POST /api/neighbours",
    "POST /api/likeness",
    "GET /api/maps",
    "POST /api/maps",
    "GET /api/maps/{method}/points",
    "GET /api/maps/{method}/colours",
)

MASKS = re.compile("mask|drafts|drawing|pixels|previews|views|opinions|conflicts")

checks.load_all_checks()
# An image that is not there is refused, though its number has the right form.
UNDECIDED = checks.CHECKS.get_by_names(["positive_data_acceptance"])

few_examples = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class EverySecondJob(Jobs):
    """Stand-in for jobs that starts nothing and reports a running job every second time."""

    runs = False

    def start(self, order):
        self.runs = not self.runs
        if not self.runs:
            raise JobRunsError("a job runs already")
        return Job(state="running", kind=order.kind)


@pytest.fixture(scope="module")
def description(tmp_path_factory, open_round):
    folder = shutil.copytree(open_round, tmp_path_factory.mktemp("fuzz") / "herons")
    with Campaign.open(folder) as campaign:
        app = create_app(campaign, hosts=("*",), jobs=EverySecondJob(campaign))
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def test_the_description_has_these_routes(description):
    operations = [result.ok() for result in description.get_all_operations()]
    assert {f"{operation.method.upper()} {operation.path}" for operation in operations} == set(ROUTES)


@pytest.fixture(scope="module")
def masks(tmp_path_factory, eight_images):
    """The same for a campaign of masks, where one image has two different masks."""
    folder = tmp_path_factory.mktemp("masks") / "herons"
    with Campaign.create(folder, eight_images, ["cat", "dog"], "segmentation", overlap=1.0) as campaign:
        campaign.query(8)
        with Image.open(campaign.image(1)) as image:
            mask = np.zeros(image.size[::-1], np.uint8)
        campaign.label_mask(1, mask, "ann", if_waiting=True)
        campaign.label_mask(1, mask + 1, "bob", if_waiting=True)
        app = create_app(campaign, hosts=("*",), jobs=EverySecondJob(campaign))
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("mode", list(generation.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", [route for route in ROUTES if MASKS.search(route)])
def test_every_answer_about_masks_is_as_described(masks, route, mode):
    check_route(masks, route, mode)


@pytest.mark.parametrize("mode", list(generation.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", ROUTES)
def test_every_answer_is_as_described(description, route, mode):
    check_route(description, route, mode)


def check_route(description, route, mode):
    method, path = route.split()
    operation = description[path][method]
    parts = [parameter for parameter in operation.iter_parameters() if parameter.name != "If-None-Match"]
    if mode.is_negative and not (parts or operation.body):
        return  # nothing that could be wrong: any text is an ETag

    @few_examples
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        case.call_and_validate(excluded_checks=UNDECIDED)

    check()
