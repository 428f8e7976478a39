import io

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data import load_dataset
from minimax_al.data.sources import bdd100k, camvid, shapes, voc
from minimax_al.errors import ConfigurationError, DataError


@pytest.fixture
def paint(tmp_path):
    """Writes an image of one grey value and a mask of labels of two classes, or a palette mask."""

    def write(image, mask, labels=(0, 1), grey=0, size=(9, 7)):
        for name in (image, mask):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (grey,) * 3).save(tmp_path / image)
        pixels = np.full(size[::-1], labels[0], dtype=np.uint8)
        pixels[:, 3:] = labels[1]
        image = Image.fromarray(pixels)
        if mask.startswith("SegmentationClass"):
            image = image.convert("P")
            image.putdata(pixels.flatten().tolist())
            image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        image.save(tmp_path / mask)

    return write


def labels_of(masks):
    return [mask.unique().tolist() for mask in masks]


def test_camvid(paint, tmp_path):
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        for i in range(count):
            paint(f"{part}/{i:04d}.png", f"{part}annot/{i:04d}.png", (i, 11))
    made = load_dataset("camvid", tmp_path, size=[6, 8])
    assert (made.class_names, made.train.size) == (camvid.CLASSES, (6, 8))
    assert (len(camvid.CLASSES), len(made.train), len(made.test)) == (11, 3, 2)
    assert labels_of(made.train_targets) == [[0, 255], [1, 255], [2, 255]]
    assert load_dataset("camvid", tmp_path, test="val").test.names == ("val/0000.png",)
    (tmp_path / "classes.txt").write_text("\n".join([*camvid.CLASSES, "Unlabelled"]))
    assert load_dataset("camvid", tmp_path).class_names == camvid.CLASSES


def test_camvid_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"CamVid needs the folder .*train'"):
        load_dataset("camvid", tmp_path)
    with pytest.raises(ConfigurationError, match="test='tset' is not allowed: Input should be 'test' or 'val'"):
        load_dataset("camvid", tmp_path, test="tset")


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [
        ("bdd100k/images/10k", "bdd100k/labels/sem_seg/masks", ""),
        ("images/10k", "labels/seg", "_train_id"),
        ("bdd100k/seg/images", "bdd100k/seg/labels", "_train_id"),
    ],
)
def test_bdd100k(paint, tmp_path, images, masks, ending):
    for part, count in (("train", 3), ("val", 2)):
        for i in range(count):
            paint(f"{images}/{part}/0a{i}.jpg", f"{masks}/{part}/0a{i}{ending}.png", (i, 18 if i else 255))
    made = load_dataset("bdd100k", tmp_path)
    assert (made.class_names, made.num_classes, made.train.size) == (bdd100k.CLASSES, 19, (224, 224))
    assert labels_of(made.train_targets) == [[0, 255], [1, 18], [2, 18]]
    assert made.test.names == tuple(f"{images}/val/0a{i}.jpg" for i in range(2))


def test_bdd100k_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="needs the folder 'images/10k/train' or 'seg/images/train' in"):
        load_dataset("bdd100k", tmp_path)


def test_voc(paint, tmp_path):
    for i in range(4):
        paint(f"JPEGImages/2007_{i}.jpg", f"SegmentationClass/2007_{i}.png", (20, i or 255))
    Image.new("RGB", (4, 4)).save(tmp_path / "JPEGImages/no_mask_and_in_no_list.jpg")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_2\n2007_0\n")
    (lists / "val.txt").write_text("2007_1\n2007_3\n")
    made = load_dataset("voc", tmp_path, size=8)
    assert (made.class_names, len(voc.CLASSES)) == (voc.CLASSES, 21)
    assert made.train.names == ("JPEGImages/2007_2.jpg", "JPEGImages/2007_0.jpg")
    assert (labels_of(made.train_targets), labels_of(made.test_targets)) == ([[2, 20], [20, 255]], [[1, 20], [3, 20]])
    (tmp_path / "SegmentationClass/2007_3.png").unlink()
    with pytest.raises(DataError, match=r"2007_3\.jpg' has no mask: looked for .*2007_3\.png"):
        load_dataset("voc", tmp_path)
    (tmp_path / "JPEGImages/2007_3.jpg").unlink()
    with pytest.raises(DataError, match=r"val\.txt' lists '2007_3', but the image"):
        load_dataset("voc", tmp_path)
    (lists / "val.txt").unlink()
    with pytest.raises(DataError, match=r"needs the list .*val\.txt"):
        load_dataset("voc", tmp_path)


@pytest.mark.parametrize("layout", ["{folder}/{part}", "{part}/{folder}"])
def test_masks_that_are_split_already(paint, tmp_path, layout):
    for part, count in (("train", 3), ("val", 2)):
        image, mask = (layout.format(folder=folder, part=part) for folder in ("images", "masks"))
        for i in range(count):
            paint(f"{image}/{i}.jpg", f"{mask}/{i}.png")
    made = load_dataset("masks", tmp_path, classes=["ground", "cell"])
    assert (len(made.train), len(made.test), made.name) == (3, 2, tmp_path.name)


def test_masks_are_split_by_the_seed(paint, tmp_path):
    for i in range(10):
        paint(f"images/{i}.jpg", f"truth/{i}.png", grey=i)
    (tmp_path / "classes.txt").write_text("ground\ncell\n")
    options = {"images": "images", "masks": "truth", "size": 4}
    made, again, other = (load_dataset("masks", tmp_path, seed=seed, **options) for seed in (1, 1, 2))
    assert (len(made.train), len(made.test)) == (8, 2)
    assert sorted(made.train.names + made.test.names) == [f"images/{i}.jpg" for i in range(10)]
    assert made.test.names == again.test.names != other.test.names
    assert len(load_dataset("masks", tmp_path, test_size=3, **options).test) == 3
    with pytest.raises(ConfigurationError, match="test_size=10 of 10 images cannot be kept"):
        load_dataset("masks", tmp_path, test_size=10, **options)


def test_masks_in_colour(paint, tmp_path):
    for i in range(5):
        paint(f"images/{i}.jpg", f"masks/{i}.png")
        mask = np.zeros((7, 9, 3), dtype=np.uint8)
        mask[:, 4:] = (0, 128, 64)
        mask[0, 0] = (9, 9, 9)
        Image.fromarray(mask).save(tmp_path / f"masks/{i}.png")
    with pytest.raises(DataError, match=r"the classes of the masks in .* are unknown: .*colours\.csv"):
        load_dataset("masks", tmp_path)
    with pytest.raises(DataError, match=r"is in colour \(\(0, 128, 64\) at pixel \(row 0, column 4\)\)"):
        load_dataset("masks", tmp_path, classes=["ground", "tree"])
    (tmp_path / "colours.csv").write_text("tree,0,128,64\nground,0,0,0\nvoid,9,9,9\n")
    made = load_dataset("masks", tmp_path, size=(7, 9))
    assert made.class_names == ("tree", "ground")
    assert made.train_targets[0, 0].tolist() == [255, 1, 1, 1, 0, 0, 0, 0, 0]
    colours = {"tree": [0, 128, 64], "void": [9, 9, 9], "ground": [0, 0, 0]}
    assert load_dataset("masks", tmp_path, colours=colours, classes=["ground", "tree"]).class_names == (
        "ground",
        "tree",
    )
    with pytest.raises(DataError, match=r"colour \(9, 9, 9\) at pixel \(row 0, column 0\)"):
        load_dataset("masks", tmp_path, colours={name: colours[name] for name in ("tree", "ground")})


def test_a_colour_map_in_a_relative_folder(paint, tmp_path, monkeypatch):
    for i in range(5):
        paint(f"images/{i}.jpg", f"masks/{i}.png", labels=(0, 90))
    (tmp_path / "colours.csv").write_text("ground,0,0,0\ncell,90,90,90\n")
    (tmp_path / "other.csv").write_text("cell,90,90,90\nground,0,0,0\n")
    monkeypatch.chdir(tmp_path.parent)
    assert load_dataset("masks", tmp_path.name, size=16).class_names == ("ground", "cell")
    assert load_dataset("masks", tmp_path.name, size=16, colours="other.csv").class_names == ("cell", "ground")


def test_masks_of_a_folder_that_is_not_there(paint, tmp_path):
    with pytest.raises(DataError, match="is not a folder: give the folder that holds 'images' and 'masks'"):
        load_dataset("masks", tmp_path / "nowhere")
    paint("images/a.png", "truth/a.png")
    with pytest.raises(DataError, match="masks' does not exist"):
        load_dataset("masks", tmp_path, classes=["ground", "cell"])


def test_shapes_are_a_function_of_their_seed():
    made, again, other = (load_dataset("shapes", train=30, test=5, size=24, seed=seed) for seed in (1, 1, 2))
    assert (len(made.train), len(made.test), made.train.size, made.class_names) == (30, 5, (24, 24), shapes.CLASSES)
    assert torch.equal(made.train.pixels, again.train.pixels)
    assert torch.equal(made.train_targets, again.train_targets)
    assert not torch.equal(made.train.pixels, other.train.pixels)
    assert not torch.equal(made.train.pixels[:5], made.test.pixels)


def test_shapes_are_drawn_where_their_masks_say():
    """Every class has its share, and shapes are more colourful than the dull ground."""
    made = load_dataset("shapes", train=200, test=0, size=32)
    shares = torch.bincount(made.train_targets.flatten().long(), minlength=4) / made.train_targets.numel()
    assert (shares[:-1] > shares[1:]).all()
    assert 0.01 < shares[3] < 0.05
    pixels = made.train.pixels.float()
    spread = pixels.amax(dim=1) - pixels.amin(dim=1)
    assert spread[made.train_targets > 0].mean() > 1.4 * spread[made.train_targets == 0].mean()
    # Red, green and blue prevail in circles, squares and triangles.
    for kind in (1, 2, 3):
        means = pixels.movedim(1, -1)[made.train_targets == kind].mean(dim=0)
        assert int(means.argmax()) == kind - 1


def test_shapes_that_cannot_be_drawn():
    with pytest.raises(ConfigurationError, match="shapes need 16 pixels"):
        load_dataset("shapes", size=8)


def test_real_camvid(real_data, tmp_path):
    if not (real_data / "camvid224.npz").is_file():
        pytest.skip("camvid224.npz is not among the real data sets")
    with np.load(real_data / "camvid224.npz") as packed:
        blob, offsets, split, labels = (packed[key] for key in ("webp", "offsets", "split", "labels"))
    for number, part in ((0, "train"), (2, "test")):
        for folder in (part, f"{part}annot"):
            (tmp_path / folder).mkdir()
        for i in np.flatnonzero(split == number)[::40]:
            image = Image.open(io.BytesIO(blob[offsets[i] : offsets[i + 1]].tobytes()))
            image.save(tmp_path / part / f"{i:04d}.png", compress_level=0)
            Image.fromarray(labels[i].astype(np.uint8)).save(tmp_path / f"{part}annot/{i:04d}.png")
    made = load_dataset("camvid", tmp_path)
    assert (len(made.train), len(made.test), made.class_names, made.set_aside) == (10, 6, camvid.CLASSES, ())
    stored = labels[split == 0][::40]
    assert torch.equal(made.train_targets.long(), torch.from_numpy(np.where(stored == 11, 255, stored)).long())
    np.testing.assert_allclose(made.mean, (0.41, 0.42, 0.43), atol=0.05)
