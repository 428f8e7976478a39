import shutil

import pytest
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.folder import OWN_NAMES
from minimax_al.errors import CampaignError, ConfigurationError, DataError, StoreError, UnknownNameError


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"classes": ["cat"]}, ConfigurationError, "1 classes leave nothing to tell apart"),
        ({"classes": ["cat", "cat"]}, DataError, "'cat' is there 2 times"),
        ({"classes": ["cat", " dog"]}, ConfigurationError, "class name ' dog' is invalid"),
        ({"classes": ["cat", ""]}, ConfigurationError, "class name '' is invalid"),
        ({"classes": ["cat", "d\nog"]}, ConfigurationError, "is invalid: give printable text"),
        ({"images": "nowhere"}, DataError, "'nowhere' does not exist: give a folder of images"),
        ({"task": "detection"}, ConfigurationError, "settings of the campaign, task: .*'detection' was given"),
        ({"seed": -1}, ConfigurationError, "settings of the campaign, seed: "),
        ({"strategy": "mla"}, UnknownNameError, "unknown strategy 'mla'; did you mean 'mal'"),
        ({"strategy": "coverage"}, ConfigurationError, "chooses images and does not train"),
        ({"sead": 1}, ConfigurationError, "settings of the campaign: unknown key 'sead'; did you mean 'seed'"),
        ({"validation_share": 0.001}, ConfigurationError, "give 0, or at least 0.01"),
        ({"storage": "oracle://x"}, ConfigurationError, "is not a database for campaigns"),
        ({"storage": "sqlite:///x.db"}, ConfigurationError, "storage='sqlite:///x.db' is a file: leave it out"),
        ({"storage": "postgresql+psycopg://u@127.0.0.1:1/x"}, StoreError, "cannot be reached|refused"),
        ({"images": "ftp://host/images"}, ConfigurationError, "ftp:// cannot be used, since it needs more than a URL"),
    ],
)
def test_invalid_arguments_are_refused_and_create_nothing(tmp_path, save_images, changes, error, match):
    options = {"images": save_images(2), "classes": ["cat", "dog"], "recipe": "scratch"} | changes
    with pytest.raises(error, match=match):
        Campaign.create(tmp_path / "campaign", **options)
    assert not (tmp_path / "campaign").exists()


@pytest.mark.parametrize("folder", ["images", "images/deep/campaign", "link/campaign"])
def test_a_campaign_inside_the_images_folder_is_refused(tmp_path, save_images, folder):
    images = save_images(2)
    (tmp_path / "link").symlink_to(images)
    before = sorted(images.rglob("*"))
    with pytest.raises(ConfigurationError, match=r"is in the folder of its images .*: give a folder outside of it"):
        Campaign.create(tmp_path / folder, images, ["cat", "dog"], recipe="scratch")
    assert sorted(images.rglob("*")) == before


def test_an_images_folder_that_contains_the_campaign_is_refused(campaign):
    with pytest.raises(ConfigurationError, match="is in the folder of its images"):
        campaign.configure(images=campaign.folder.parent)


@pytest.mark.parametrize(
    ("files", "said"), [([], "0 other files:"), (["a.txt", "b.png"], r"2 other files \('a\.txt': its ending '\.txt'")]
)
def test_a_folder_without_a_image_is_refused_and_nothing_is_left(tmp_path, files, said):
    (tmp_path / "images").mkdir()
    for name in files:
        (tmp_path / "images" / name).write_text("no image")
    with pytest.raises(DataError, match=rf"holds no image that can be used, and {said}.*\.jpeg, .*\.png") as refused:
        Campaign.create(tmp_path / "campaign", tmp_path / "images", ["cat", "dog"], recipe="scratch")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "campaign").exists()


def test_duplicates_are_listed_with_what_they_equal(make_campaign, save_images):
    images = save_images(4)
    for copy in ("b/z.png", "b/y.png"):
        shutil.copy(images / "a/002.png", images / copy)
    campaign = make_campaign(images=images)
    with Image.open(images / "a/000.png") as image:
        image.save(images / "b/near.png", compress_level=0)  # the same pixels in other bytes
    campaign.refresh()
    near, *copies = campaign.duplicates()
    assert near == ("b/near.png", "a/000.png", False)
    assert copies == [("b/y.png", "a/002.png", True), ("b/z.png", "a/002.png", True)]
    assert campaign.duplicates(1) == [near]


def test_a_campaign_is_never_made_over_another(campaign, make_campaign, storage):
    campaign.label(1, "cat", author="ann")
    with pytest.raises(CampaignError, match="is a campaign already: open it"):
        Campaign.create(campaign.folder, campaign.images, ["x", "y"], storage=storage, recipe="scratch")
    assert campaign.classes == ("cat", "dog", "n/a")
    assert len(campaign.labels()) == 1


def test_labels_may_be_imported_at_creation(make_campaign, save_images, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na/000.png,cat\nb/001.png,\n")
    assert make_campaign(images=save_images(4), labels=tmp_path / "labels.csv").labels() == {"a/000.png": "cat"}


@pytest.mark.parametrize("is_there", [False, True])
def test_labels_that_are_refused_leave_nothing_behind(make_campaign, save_images, tmp_path, storage, is_there):
    images, labels = save_images(4), tmp_path / "labels.csv"
    if is_there:
        (tmp_path / "campaign").mkdir()
        (tmp_path / "campaign/notes.txt").write_text("mine")
    labels.write_text("path,label\na/000.png,cta\n")
    with pytest.raises(DataError, match=r"line 2: unknown class 'cta'; did you mean 'cat'"):
        make_campaign(images=images, labels=labels, storage=storage)
    left = {path.name for path in (tmp_path / "campaign").iterdir()} if (tmp_path / "campaign").exists() else set()
    assert left == ({"notes.txt"} if is_there else set())
    labels.write_text("path,label\na/000.png,cat\n")
    assert make_campaign(images=images, labels=labels, storage=storage).labels() == {"a/000.png": "cat"}


@pytest.mark.parametrize("name", OWN_NAMES)
def test_files_of_the_user_under_a_campaigns_names_are_not_touched(make_campaign, save_images, tmp_path, name):
    own = tmp_path / "project" / name
    own = own if "." in name else own / "0.png"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(
        CampaignError, match=rf"project' has '{name}' already.*: give a new folder, such as '.*campaign'"
    ):
        make_campaign(images=save_images(2), folder="project")
    assert [path for path in (tmp_path / "project").rglob("*") if path.is_file()] == [own]
    own.unlink()
    make_campaign(images=tmp_path / "images", folder="project")  # an empty folder is no obstacle


def test_refused_labels_leave_copies_of_a_database_alone(make_campaign, save_images, tmp_path):
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign/campaign.db.bak").write_text("mine")
    (tmp_path / "labels.csv").write_text("path,label\na/000.png,cta\n")
    with pytest.raises(DataError, match="unknown class 'cta'"):
        make_campaign(images=save_images(2), labels=tmp_path / "labels.csv")
    assert [path.name for path in (tmp_path / "campaign").iterdir()] == ["campaign.db.bak"]


def test_a_file_is_not_said_to_be_absent(tmp_path):
    (tmp_path / "notes").touch()
    with pytest.raises(CampaignError, match="notes' is a file: make one with 'mal new', or give the folder of one"):
        Campaign.open(tmp_path / "notes")


def test_a_missing_label_file_is_refused_before_images_are_read(make_campaign, save_images, monkeypatch):
    images = save_images(4)
    monkeypatch.setattr(Campaign, "refresh", lambda *_: pytest.fail("images were examined"))
    with pytest.raises(DataError, match=r"there is no 'none\.csv'"):
        make_campaign(images=images, labels="none.csv")


def test_labels_may_name_the_classes(make_campaign, save_images, tmp_path):
    images = save_images(4)
    (tmp_path / "labels.csv").write_text("path,label\na/000.png,heron\nb/001.png,egret\na/002.png,heron\n")
    campaign = make_campaign(images=images, classes=None, labels=tmp_path / "labels.csv", folder="table")
    assert campaign.classes == ("egret", "heron")
    campaign.export("imagefolder", tmp_path / "sorted")
    campaign.export("coco", tmp_path / "coco.json")
    campaign.export("label-studio", tmp_path / "tasks.json")
    for number, source in enumerate(("sorted", "coco.json", "tasks.json")):
        other = make_campaign(images=images, classes=None, labels=tmp_path / source, folder=f"c{number}")
        assert other.classes == ("egret", "heron")
        assert other.labels() == campaign.labels()
    with pytest.raises(ConfigurationError, match=r"nothing names the classes: give their names \(--classes\)"):
        make_campaign(images=images, classes=None, folder="none")


def test_settings_change_but_for_task_and_seed(campaign, make_campaign):
    campaign.configure(lease_seconds=60, strategy="entropy")
    again = make_campaign.track(Campaign.open(campaign.folder))
    assert (again.settings.lease_seconds, again.settings.strategy) == (60, "entropy")
    with pytest.raises(ConfigurationError, match="the campaign's seed cannot change"):
        campaign.configure(seed=3)
    with pytest.raises(ConfigurationError, match="settings of the campaign, lease_seconds: "):
        campaign.configure(lease_seconds=0)


def test_classes_can_be_added(campaign):
    campaign.add_classes(["heron"])
    assert campaign.classes == ("cat", "dog", "n/a", "heron")
    with pytest.raises(DataError, match="the class 'cat' is there already"):
        campaign.add_classes(["cat"])
