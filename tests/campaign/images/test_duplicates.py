"""Near duplicates in a campaign: labels tell images apart, settings free them, and a notable part is pointed out."""

import shutil

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign

from ...support.fakes import random_image  # noqa: TID252 - the same images


@pytest.fixture
def with_versions(save_images):
    """Six images, and three encodings of the first one."""
    images = save_images(6, size=(64, 48))
    (images / "z").mkdir()
    for number, quality in enumerate((90, 80, 70)):
        random_image(0, (64, 48)).save(images / f"z/version {number}.jpg", quality=quality)
    return images


def statuses(campaign):
    return {file.path: file.status for file in campaign.files()}


def fixed_camera(folder, count, size=10):
    """Half of the images show an object on one background."""
    folder.mkdir(parents=True)
    for number in range(count):
        image = random_image(1, (320, 240))
        if number % 2:
            rng = np.random.default_rng(number)
            x, y = (int(value) for value in rng.integers(0, (320 - size, 240 - size)))
            image.paste((255, 0, 0), (x, y, x + size, y + size))
        image.save(folder / f"{number:02d}.png", compress_level=number % 9)  # files differ, pixels may not
    return folder


def test_images_of_a_fixed_camera_with_different_objects_are_all_kept(make_campaign, tmp_path):
    campaign = make_campaign(images=fixed_camera(tmp_path / "camera", 12))
    odd = {f"{number:02d}.png" for number in range(1, 12, 2)}
    assert odd.isdisjoint(statuses(campaign))
    assert campaign.status().items["active"] == 7  # the empty scene once


@pytest.mark.parametrize("labelled_first", ["z/version 1.jpg", "a/000.png"])
def test_labels_tell_near_duplicates_apart(make_campaign, with_versions, labelled_first):
    campaign = make_campaign(images=with_versions)
    assert set(statuses(campaign)) == {"z/version 0.jpg", "z/version 1.jpg", "z/version 2.jpg"}
    other = ({"z/version 1.jpg", "a/000.png"} - {labelled_first}).pop()
    campaign.label(labelled_first, "cat", author="ann")
    assert len(statuses(campaign)) == 3
    campaign.label(other, "dog", author="ann")
    assert set(statuses(campaign)) == {"z/version 0.jpg", "z/version 2.jpg"}
    assert campaign.labels() == {labelled_first: "cat", other: "dog"}
    assert campaign.status().notes == ()
    campaign.label("z/version 2.jpg", "cat", author="ann")  # the same class as the representative or another
    assert ("z/version 2.jpg" in statuses(campaign)) is (labelled_first == "a/000.png")


def test_two_duplicates_with_different_labels_are_told_apart_with_their_copies(make_campaign, with_versions):
    shutil.copy(with_versions / "z/version 1.jpg", with_versions / "z/copy.jpg")
    campaign = make_campaign(images=with_versions)
    campaign.label("z/version 0.jpg", "cat", author="ann")
    campaign.label("z/version 1.jpg", "dog", author="ann")
    assert {(one.path, one.original) for one in campaign.duplicates()} == {
        ("z/version 0.jpg", "a/000.png"),
        ("z/version 2.jpg", "a/000.png"),
        ("z/copy.jpg", "z/version 1.jpg"),
    }


def test_copies_of_one_file_stay_together_whatever_their_labels(make_campaign, save_images):
    images = save_images(4)
    (images / "z").mkdir()
    shutil.copy(images / "a/000.png", images / "z/copy.png")
    campaign = make_campaign(images=images)
    campaign.label("a/000.png", "cat", author="ann")
    campaign.label("z/copy.png", "dog", author="bob")
    assert statuses(campaign) == {"z/copy.png": "duplicate"}
    assert campaign.status().notes == ("1 images and their duplicates have labels that disagree.",)


def test_labels_given_at_the_start_keep_images_apart(make_campaign, tmp_path, save_images):
    images = save_images(4, size=(64, 48))
    (images / "z").mkdir()
    random_image(0, (64, 48)).save(images / "z/near.jpg", quality=80)
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\na/000.png,cat\nz/near.jpg,dog\n")
    campaign = make_campaign(images=images, labels=labels)
    assert statuses(campaign) == {}


def test_images_with_labels_of_two_classes_are_never_merged_later(make_campaign, save_images):
    images = save_images(4, size=(64, 48))
    (images / "z").mkdir()
    random_image(0, (64, 48)).save(images / "z/near.jpg", quality=80)
    campaign = make_campaign(images=images, near_duplicates="off")
    campaign.label("a/000.png", "cat", author="ann")
    campaign.label("z/near.jpg", "dog", author="ann")
    campaign.configure(near_duplicates=4)
    shutil.move(images / "z/near.jpg", images / "moved.jpg")
    campaign.refresh()
    assert statuses(campaign) == {}


def test_the_setting_may_change_at_any_time(make_campaign, with_versions):
    campaign = make_campaign(images=with_versions)
    shutil.copy(with_versions / "b/001.png", with_versions / "z/copy.png")
    campaign.refresh()
    assert len(statuses(campaign)) == 4
    campaign.configure(near_duplicates="off")
    assert statuses(campaign) == {"z/copy.png": "duplicate"}
    assert campaign.status().unlabelled == 9
    campaign.configure(near_duplicates=2)
    assert str(campaign.refresh()) == "nothing new"  # images that are asked about stay so
    random_image(2, (64, 48)).save(with_versions / "later.jpg", quality=90)
    assert campaign.refresh().near_duplicates == ("later.jpg",)


def test_the_setting_is_read_under_its_former_name(make_campaign, save_images):
    campaign = make_campaign(images=save_images(2), near_duplicate_bits=None)
    assert campaign.settings.near_duplicates == "off"
    assert make_campaign(folder="b", images=save_images(2), near_duplicate_bits=3).settings.near_duplicates == 3


def test_a_notable_part_of_near_duplicates_is_pointed_out(make_campaign, with_versions, save_images):
    campaign = make_campaign(images=with_versions)
    (note,) = campaign.status().notes
    assert note.startswith("3 of 9 images count as near duplicates of another image")
    assert f"'mal configure {campaign.folder} near_duplicates=off'" in note
    save_images(70, first=100)
    campaign.refresh()
    assert campaign.status().notes == ()


def test_an_interrupted_comparison_resumes_at_the_next_refresh(make_campaign, with_versions, monkeypatch, clock):
    campaign = make_campaign(images=with_versions, near_duplicates="off")
    for number in range(3):
        (with_versions / f"z/version {number}.jpg").unlink()
    campaign.refresh()
    campaign.configure(near_duplicates=4)
    for number, quality in enumerate((91, 81, 71)):
        random_image(0, (64, 48)).save(with_versions / f"again {number}.jpg", quality=quality)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("minimax_al.campaign.images.duplicates.shows_the_same", stop)
        with pytest.raises(KeyboardInterrupt):
            campaign.refresh()
    campaign.close()
    campaign = make_campaign.track(Campaign.open(campaign.folder, clock=clock))
    assert len(campaign.refresh().near_duplicates) == 3


def test_files_that_are_not_active_are_listed_with_the_reason(make_campaign, with_versions):
    (with_versions / "broken.png").write_bytes(b"x")
    shutil.copy(with_versions / "b/001.png", with_versions / "z/copy.png")
    campaign = make_campaign(images=with_versions)
    campaign.label(["b/003.png", "a/004.png"], "cat", author="ann")
    (with_versions / "b/003.png").unlink()
    Image.new("RGB", (8, 8)).save(with_versions / "a/004.png")
    campaign.refresh()
    found = [(file.path, file.status, file.reason) for file in campaign.files()]
    assert found == [
        ("a/004.png", "changed", ""),
        ("z/copy.png", "duplicate", "a copy of b/001.png"),
        *((f"z/version {number}.jpg", "duplicate", "looks like a/000.png") for number in range(3)),
        ("b/003.png", "missing", ""),
        ("broken.png", "set-aside", "it is not an image in a known format"),
    ]
