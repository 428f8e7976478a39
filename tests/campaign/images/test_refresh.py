import os
import shutil

import pytest
from PIL import ExifTags, Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.images import refresh as refresh_module
from minimax_al.campaign.store.schema import items
from minimax_al.data.decoding.decode import read_image
from minimax_al.errors import DataError

from ...support.fakes import random_image  # noqa: TID252 - the same images


def rows(campaign):
    with campaign.store.reading() as connection:
        return {row.path: row for row in connection.execute(items.select())}


def statuses(campaign):
    return {path: row.status for path, row in rows(campaign).items()}


def test_copies_and_near_duplicates_are_picked_once(make_campaign, save_images, storage):
    images = save_images(6)
    (images / "z").mkdir()
    shutil.copy(images / "a/000.png", images / "z" / "copy.png")
    random_image(1, (40, 32)).save(images / "z" / "near.jpg", quality=70)
    shutil.copy(images / "z" / "near.jpg", images / "z" / "near too.jpg")
    (images / "broken.png").write_bytes(b"x")
    campaign = make_campaign(images=images, storage=storage)
    found = rows(campaign)
    by_id = {row.id: path for path, row in found.items()}
    duplicates = {path: by_id[row.duplicate_of] for path, row in found.items() if row.status == "duplicate"}
    assert duplicates == {"z/copy.png": "a/000.png", "z/near.jpg": "b/001.png", "z/near too.jpg": "b/001.png"}
    status = campaign.status()
    assert status.items == {"active": 6, "duplicate": 3, "set-aside": 1}
    assert status.set_aside == (("broken.png", "it is not an image in a known format"),)
    assert status.unlabelled == 6
    campaign.label("z/copy.png", "cat", author="ann")  # what a copy shows, the original shows
    assert campaign.status().unlabelled == 5


def test_near_duplicate_detection_can_be_switched_off(make_campaign, save_images):
    images = save_images(2)
    random_image(1, (40, 32)).save(images / "near.jpg", quality=70)
    assert make_campaign(images=images, near_duplicates="off").status().items == {"active": 3}


def test_new_images_join_at_any_time(campaign, save_images):
    save_images(3, first=12)
    found = campaign.refresh()
    assert found.added == ("a/012.png", "a/014.png", "b/013.png")
    assert str(found) == "3 added"
    assert campaign.status().unlabelled == 15
    assert str(campaign.refresh()) == "nothing new"


def test_a_moved_file_takes_its_labels_along(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    (campaign.images / "c").mkdir()
    (campaign.images / "a/000.png").rename(campaign.images / "c/renamed.png")
    (campaign.images / "a/002.png").rename(campaign.images / "c/other.png")
    found = campaign.refresh()
    assert set(found.moved) == {"c/renamed.png", "c/other.png"}
    assert (found.added, found.missing) == ((), ())
    assert campaign.labels() == {"c/renamed.png": "cat"}
    assert campaign.status().items == {"active": 12}
    assert campaign.status().unlabelled == 11


def test_a_copy_replaces_a_missing_original(make_campaign, save_images):
    images = save_images(4)
    shutil.copy(images / "a/000.png", images / "b" / "copy.png")
    campaign = make_campaign(images=images)
    campaign.label("a/000.png", "dog", author="ann")
    (images / "a/000.png").unlink()
    assert campaign.refresh().moved == ("b/copy.png",)
    assert campaign.labels() == {"b/copy.png": "dog"}


def test_a_near_duplicate_is_active_after_its_original_is_missing(make_campaign, save_images):
    images = save_images(4)
    random_image(0, (40, 32)).save(images / "b" / "near.jpg", quality=70)
    campaign = make_campaign(images=images)
    assert statuses(campaign)["b/near.jpg"] == "duplicate"
    (images / "a/000.png").unlink()
    assert campaign.refresh().missing == ("a/000.png",)
    assert statuses(campaign)["b/near.jpg"] == "active"


def test_a_missing_file_is_reported_and_keeps_its_label(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    content = (campaign.images / "a/000.png").read_bytes()
    (campaign.images / "a/000.png").unlink()
    (campaign.images / "a/002.png").unlink()
    assert campaign.refresh().missing == ("a/000.png", "a/002.png")
    assert campaign.refresh().missing == ()
    status = campaign.status()
    assert status.items == {"active": 10, "missing": 2}
    assert status.unlabelled == 10
    assert "2 images are gone from the folder; their labels are kept." in status.notes
    assert campaign.labels() == {"a/000.png": "cat"}
    (campaign.images / "a/000.png").write_bytes(content)
    assert campaign.refresh().returned == ("a/000.png",)
    assert statuses(campaign)["a/000.png"] == "active"


def test_a_missing_image_does_not_block_its_round(campaign):
    campaign.query(2)
    first, second = campaign.picks()
    (campaign.images / first.path).unlink()
    campaign.refresh()
    campaign.label(second.item, "cat", author="ann")
    assert not campaign.round().is_open


def test_a_changed_labelled_file_is_set_aside_until_reviewed(campaign):
    campaign.label(["a/000.png", "b/001.png"], "cat", author="ann")
    for name, seed in (("a/000.png", 100), ("b/001.png", 101), ("a/002.png", 102)):
        random_image(seed).save(campaign.images / name)
    found = campaign.refresh()
    assert found.changed == ("a/000.png", "b/001.png")
    assert statuses(campaign)["a/002.png"] == "active"  # nobody had said anything about it
    assert "2 labelled images have other content" in campaign.status().notes[0]
    campaign.label("a/000.png", "dog", author="bob")
    assert campaign.accept_changed() == 1
    assert set(statuses(campaign).values()) == {"active"}
    assert campaign.labels() == {"b/001.png": "cat", "a/000.png": "dog"}


def test_a_changed_image_waits_again_once_it_is_accepted(campaign):
    campaign.query(12)
    campaign.label("a/000.png", "cat", author="ann")
    random_image(100).save(campaign.images / "a/000.png")
    campaign.refresh()
    campaign.undo("ann")
    assert campaign.round().waiting == 11  # its place in the round was for what it showed
    campaign.accept_changed(["a/000.png"])
    assert campaign.round().waiting == 12


def test_after_an_undo_a_changed_image_is_as_changed_as_before(campaign):
    campaign.label(["a/000.png", "b/001.png"], "cat", author="ann")
    for name, seed in (("a/000.png", 100), ("b/001.png", 101)):
        random_image(seed).save(campaign.images / name)
    campaign.refresh()
    campaign.label("a/000.png", "dog", author="bob")
    campaign.label("a/000.png", "n/a", author="bob")
    campaign.undo("bob")
    assert statuses(campaign)["a/000.png"] == "active"  # bob's first word is of what the file shows now
    campaign.undo("bob")
    assert statuses(campaign)["a/000.png"] == "changed"
    campaign.accept_changed()
    campaign.label("b/001.png", "dog", author="bob")
    campaign.undo("bob")
    assert set(statuses(campaign).values()) == {"active"}
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "cat"}


def test_a_link_that_leads_out_of_the_folder_is_set_aside(campaign, tmp_path):
    random_image(100).save(tmp_path / "outside.png")
    (campaign.images / "out.png").symlink_to(tmp_path / "outside.png")
    (campaign.images / "in.png").symlink_to(campaign.images / "a/000.png")
    assert campaign.refresh().set_aside == ("out.png",)
    assert "it is a link that leads out of" in rows(campaign)["out.png"].reason
    assert statuses(campaign)["in.png"] == "duplicate"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_respects_exif_orientation(make_campaign, tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    (tmp_path / "images").mkdir()
    for name, size in (("wide.jpg", (640, 400)), ("almost.jpg", (640, 639)), ("small.png", (20, 16))):
        random_image(orientation, size).save(tmp_path / "images" / name, exif=exif)
    found = rows(make_campaign(images=tmp_path / "images", near_duplicates="off"))
    sizes = {name: read_image(tmp_path / "images" / name).size for name in found}
    assert {name: (row.width, row.height) for name, row in found.items()} == sizes


def test_a_new_mtime_alone_does_not_change_an_image(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    for name in ("a/000.png", "a/002.png"):
        os.utime(campaign.images / name, (1, 1))
    assert str(campaign.refresh()) == "nothing new"
    assert set(statuses(campaign).values()) == {"active"}


def test_a_image_that_becomes_unreadable_is_set_aside_and_comes_back_mended(campaign):
    good = (campaign.images / "a/000.png").read_bytes()
    (campaign.images / "a/000.png").write_bytes(b"x")
    assert campaign.refresh().set_aside == ("a/000.png",)
    (campaign.images / "a/000.png").write_bytes(good)
    campaign.refresh()
    assert statuses(campaign)["a/000.png"] == "active"


def test_an_interrupted_refresh_resumes(campaign, save_images, monkeypatch):
    save_images(8, first=12)
    monkeypatch.setattr(refresh_module, "_PORTION", 3)

    def examine(root, name):
        if name == "b/013.png":  # in the second portion, which is examined while the first one is written
            raise KeyboardInterrupt
        return original(root, name)

    original = refresh_module.examine
    with monkeypatch.context() as patch:
        patch.setattr(refresh_module, "examine", examine)
        with pytest.raises(KeyboardInterrupt):
            campaign.refresh()
    assert campaign.status().items == {"active": 12, "new": 3}
    assert "run 'mal status'" in campaign.status().notes[0]
    assert len(campaign.refresh().added) == 5
    assert campaign.status().items == {"active": 20}


def test_an_empty_images_folder_is_refused(campaign):
    shutil.rmtree(campaign.images)
    campaign.images.mkdir()
    with pytest.raises(DataError, match="holds no files, but the campaign knows 12: mount the folder"):
        campaign.refresh()
    assert campaign.status().items == {"active": 12}


def test_the_folder_of_images_may_move(campaign, tmp_path, make_campaign):
    campaign.images.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="does not exist"):
        campaign.refresh()
    campaign.configure(images=tmp_path / "elsewhere")
    assert str(campaign.refresh()) == "nothing new"
    campaign.close()
    assert make_campaign.track(Campaign.open(campaign.folder)).images == (tmp_path / "elsewhere").resolve()


def test_names_in_any_script_are_kept(make_campaign, tmp_path):
    images = tmp_path / "images"
    names = ["größe 1.png", "鷺/写真, 1.png", "it's 100%.png"]
    for seed, name in enumerate(names):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        random_image(seed).save(images / name)
    Image.new("RGB", (8, 8)).save(images / "flat.png")
    campaign = make_campaign(images=images)
    assert set(statuses(campaign)) == {*names, "flat.png"}


def break_(path, content):
    path.write_bytes(content[:40])


def replace_(path, content):
    random_image(100).save(path)


def remove(path, content):
    path.unlink()


@pytest.mark.parametrize("ways", [(break_,), (replace_,), (break_, replace_), (replace_, break_), (break_, remove)])
def test_a_file_that_is_back_byte_for_byte_keeps_its_label(campaign, ways):
    campaign.label("a/000.png", "cat", author="ann")
    path = campaign.images / "a/000.png"
    content = path.read_bytes()
    for way in ways:
        way(path, content)
        campaign.refresh()
        assert statuses(campaign)["a/000.png"] != "active"
    path.write_bytes(content)
    campaign.refresh()
    assert statuses(campaign)["a/000.png"] == "active"
    assert campaign.status().notes == ()
    assert campaign.labels() == {"a/000.png": "cat"}


def test_a_file_with_the_content_before_its_relabel_is_changed_again(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    path = campaign.images / "a/000.png"
    first = path.read_bytes()
    random_image(100).save(path)
    second = path.read_bytes()
    campaign.refresh()
    campaign.label("a/000.png", "dog", author="bob")  # of the second content
    path.write_bytes(first)
    campaign.refresh()
    assert statuses(campaign)["a/000.png"] == "changed"
    path.write_bytes(second)
    campaign.refresh()
    assert statuses(campaign)["a/000.png"] == "active"
    random_image(101).save(path)
    campaign.refresh()
    campaign.accept_changed()
    path.write_bytes(second)
    campaign.refresh()
    assert statuses(campaign)["a/000.png"] == "changed"  # the label was accepted for the third content


def test_a_broken_file_that_is_back_with_other_content_is_changed(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    path = campaign.images / "a/000.png"
    path.write_bytes(b"x")
    campaign.refresh()
    random_image(100).save(path)
    assert campaign.refresh().changed == ("a/000.png",)


def test_a_broken_file_that_is_back_under_another_name_takes_its_label_along(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    path = campaign.images / "a/000.png"
    content = path.read_bytes()
    path.write_bytes(b"x")
    campaign.refresh()
    path.unlink()
    (campaign.images / "new.png").write_bytes(content)
    assert campaign.refresh().moved == ("new.png",)
    assert campaign.labels() == {"new.png": "cat"}


def test_a_broken_link_is_set_aside_with_the_remedy(make_campaign, save_images):
    images = save_images(4)
    (images / "gone.png").symlink_to("../.git/annex/objects/1a/2b/SHA256E-s9--c.png")
    aside = dict(make_campaign(images=images).status().set_aside)
    assert aside["gone.png"].endswith("which does not exist: run git annex get")
