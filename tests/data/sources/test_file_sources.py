import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from minimax_al.data import FileImages, ResidentImages, SetAside, load_dataset
from minimax_al.errors import ConfigurationError, DataError, ManifestError, UnreadableImageError


@pytest.fixture
def paint(tmp_path):
    """Writes an image of one grey value under `tmp_path`."""

    def write(name, grey=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 8), (grey,) * 3).save(path)
        return path

    return write


def greys(images):
    (pixels,) = images.stream([torch.arange(len(images))])
    return pixels[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_train_and_test_folders(paint, tmp_path, test_folder):
    paint("train/b/1.png", 10)
    paint("train/b/more/2.png", 20)
    paint("train/Äpfel/1.png", 30)
    paint(f"{test_folder}/b/1.png", 40)
    made = load_dataset("folder", tmp_path, stored_size=4)
    assert made.class_names == ("b", "Äpfel")
    assert made.train.names == ("train/b/1.png", "train/b/more/2.png", "train/Äpfel/1.png")
    assert made.train_targets.tolist() == [0, 0, 1]
    assert greys(made.train) == [10, 20, 30]
    assert made.test.names == (f"{test_folder}/b/1.png",)
    assert greys(made.test) == [40]


def test_a_flat_folder_is_split_within_classes(paint, tmp_path):
    for i in range(10):
        paint(f"a/{i}.png", i)
        paint(f"b/{i}.png", 100 + i)
    made = load_dataset("folder", tmp_path, stored_size=4, test_size=0.3, seed=4)
    assert torch.bincount(made.test_targets).tolist() == [3, 3]
    assert sorted(made.train.names + made.test.names) == sorted(f"{c}/{i}.png" for c in "ab" for i in range(10))
    assert [grey // 100 for grey in greys(made.train)] == made.train_targets.tolist()
    again, other = (load_dataset("folder", tmp_path, stored_size=4, test_size=0.3, seed=s) for s in (4, 5))
    assert again.test.names == made.test.names != other.test.names


def test_a_train_folder_alone_is_split_and_a_class_may_be_called_train(paint, tmp_path):
    for i in range(5):
        paint(f"one/train/a/{i}.png")
        paint(f"one/train/b/{i}.png")
        paint(f"vehicles/train/{i}.png")
        paint(f"vehicles/bus/{i}.png")
    assert load_dataset("folder", tmp_path / "one", stored_size=4).class_names == ("a", "b")
    assert load_dataset("folder", tmp_path / "vehicles", stored_size=4).class_names == ("bus", "train")


@pytest.mark.parametrize("resident", [True, False])
def test_unusable_files_are_listed_and_the_rest_keeps_its_targets(paint, tmp_path, resident):
    for part in ("train", "test"):
        for i, name in enumerate(("a/1.png", "a/2.png", "b/1.png")):
            paint(f"{part}/{name}", 10 * i)
    (tmp_path / "train/a/1.png").write_bytes(b"")
    (tmp_path / "test/b/0.jpg").write_text("no image")
    (tmp_path / "train/b/list.csv").write_text("x")
    paint("train/loose.png")
    paint("unlabelled/1.png")
    made = load_dataset("folder", tmp_path, stored_size=4, resident=resident, workers=0)
    assert isinstance(made.train, ResidentImages if resident else FileImages)
    assert made.set_aside == (
        SetAside("train/loose.png", "it is not in a class folder"),
        SetAside("unlabelled", "a folder next to the training and test parts is not read"),
        SetAside("train/a/1.png", "it is empty (0 bytes)"),
        SetAside("train/b/list.csv", "its ending '.csv' is not that of an image format that is read"),
        SetAside("test/b/0.jpg", "it is not an image in a known format"),
    )
    assert made.train.names == ("train/a/2.png", "train/b/1.png")
    assert made.train_targets.tolist() == [0, 1]
    assert greys(made.train) == [10, 20]
    assert greys(made.test) == [0, 10, 20]


def test_folders_that_cannot_be_used(paint, tmp_path):
    with pytest.raises(DataError, match=r"none' does not exist: give the folder"):
        load_dataset("folder", tmp_path / "none")
    with pytest.raises(DataError, match="has no class folders: put each class's images in a folder of its name"):
        load_dataset("folder", tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="is a folder without images"):
        load_dataset("folder", tmp_path)
    (tmp_path / "a" / "1.txt").write_text("x")
    (tmp_path / "b" / "1.png").write_text("x")
    sentence = r"none of 2 training files is a usable image \('a/1\.txt': its ending"
    with pytest.raises(DataError, match=sentence):
        load_dataset("folder", tmp_path, test_size=0)


def test_a_test_class_without_training_folder(paint, tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cats/1.png"):
        paint(name)
    with pytest.raises(DataError, match=r"the class 'cats' in '.*test' has no training folder; did you mean 'cat'"):
        load_dataset("folder", tmp_path)


def test_progress_is_told(paint, tmp_path):
    paint("a/1.png")
    paint("b/1.png")
    seen = []
    load_dataset("folder", tmp_path, stored_size=4, test_size=0, progress=lambda *step: seen.append(step))
    assert seen == [("checking images", 2, 2, "images")]


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(("sides", "stored"), [((32, 32), 32), ((28, 40), 40), ((300, 300), 256), ((20, 300), 256)])
def test_small_images_keep_their_own_size(tmp_path, resident, sides, stored):
    pixels = np.random.default_rng(0).integers(0, 256, (2, max(sides), max(sides), 3), dtype=np.uint8)
    for block, side, name in zip(pixels, sides, ("a", "b"), strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(block[:side, :side]).resize((side, side)).save(tmp_path / name / "1.png")
    made = load_dataset("folder", tmp_path, test_size=0, resident=resident, workers=0)
    assert made.train.size == (stored, stored)
    if sides == (32, 32):
        (found,) = made.train.stream([torch.arange(2)])
        np.testing.assert_array_equal(found.numpy(), pixels.transpose(0, 3, 1, 2))
    assert load_dataset("folder", tmp_path, test_size=0, stored_size=64).train.size == (64, 64)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(("largest", "white"), [(900, 1023), (4000, 4095), (4096, 16383), (60000, 65535)])
def test_deep_images_share_the_folders_range(tmp_path, resident, largest, white):
    for name, top in (("a", largest), ("b", largest // 10)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((8, 8), top, dtype=np.uint16)).save(tmp_path / name / "1.png")
    Image.new("L", (8, 8), 77).save(tmp_path / "b" / "8bit.png")
    made = load_dataset("folder", tmp_path, test_size=0, resident=resident, workers=0)
    assert greys(made.train) == [round(largest / white * 255), round(largest // 10 / white * 255), 77]
    given = load_dataset("folder", tmp_path, test_size=0, resident=resident, workers=0, white=65535)
    assert greys(given.train) == [round(largest / 65535 * 255), round(largest // 10 / 65535 * 255), 77]


def test_all_deep_images_are_measured_where_the_sample_has_one(tmp_path, monkeypatch):
    monkeypatch.setattr("minimax_al.data.decoding.file_properties._SAMPLE", 2)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i, top in enumerate((300, 4000, 300, 300, 300)):
        Image.fromarray(np.full((8, 8), top, dtype=np.uint16)).save(tmp_path / "ab"[i == 4] / f"{i}.png")
    made = load_dataset("folder", tmp_path, test_size=0)
    assert max(greys(made.train)) == round(4000 / 4095 * 255)


def test_options_in_the_types_of_numpy(paint, tmp_path):
    for i in range(4):
        paint(f"{'ab'[i % 2]}/{i}.png", i)
    rows = "".join(f"{'ab'[i % 2]}/{i}.png,{'ab'[i % 2]}\n" for i in range(4))
    (tmp_path / "pool.csv").write_text(f"path,label\n{rows}")
    options = {"stored_size": np.int64(4), "test_size": np.float32(0.5), "seed": np.uint8(3)}
    assert len(load_dataset("folder", tmp_path, **options).test) == 2
    made = load_dataset("manifest", tmp_path / "pool.csv", class_names=np.array(["b", "a"]), **options)
    assert made.class_names == ("b", "a")
    with pytest.raises(ConfigurationError, match="stored_size=-1 is not allowed"):
        load_dataset("folder", tmp_path, stored_size=np.int32(-1))


def test_a_manifest_with_unlabelled_images(paint, tmp_path):
    lines = ["path,label"]
    for i in range(10):
        paint(f"pics/{i}.png", i)
        lines.append(f"pics/{i}.png,{'ab'[i % 2] if i < 8 else ''}")
    lines.append("pics/missing.png,a")
    (tmp_path / "pool.csv").write_text("\n".join(lines))
    made = load_dataset("manifest", tmp_path / "pool.csv", stored_size=4, test_size=2)
    assert (made.name, made.class_names) == ("pool", ("a", "b"))
    assert (made.train_targets == -1).sum() == 2
    assert torch.bincount(made.test_targets).tolist() == [1, 1]
    assert made.set_aside == (SetAside("pics/missing.png", "it does not exist"),)
    for images, targets in ((made.train, made.train_targets), (made.test, made.test_targets)):
        for grey, target in zip(greys(images), targets.tolist(), strict=True):
            assert target == (grey % 2 if grey < 8 else -1)


def test_a_manifest_with_splits_and_classes(paint, tmp_path):
    for i in range(4):
        paint(f"{i}.png", i)
    text = "path,label,split\n0.png,b,train\n1.png,a,test\n2.png,,train\n3.png,b,\n"
    (tmp_path / "pool.csv").write_text(text)
    made = load_dataset("manifest", tmp_path / "pool.csv", stored_size=4, class_names=["c", "b", "a"])
    assert made.train_targets.tolist() == [1, -1, 1]
    assert (made.test.names, made.test_targets.tolist()) == (("1.png",), [2])
    with pytest.raises(ManifestError, match=r"pool\.csv', line 3: unknown label 'a'"):
        load_dataset("manifest", tmp_path / "pool.csv", class_names=["b", "c"])


def imagenet(paint, root=""):
    for i, wnid in enumerate(("n01", "n02")):
        for j in range(3):
            paint(f"{root}train/{wnid}/{wnid}_{j}.JPEG", 100 * i)


def test_imagenet_with_class_folders(paint, tmp_path):
    imagenet(paint)
    paint("val/n02/ILSVRC2012_val_00000001.JPEG", 200)
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 crane, bird\nn02 crane, machine\n")
    made = load_dataset("imagenet", tmp_path, stored_size=4)
    assert made.class_names == ("n01 crane", "n02 crane")
    assert made.train_targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert made.test_targets.tolist() == [1]


@pytest.mark.parametrize("truth", ["devkit", "kaggle"])
def test_imagenet_with_a_flat_val(paint, tmp_path, truth):
    prefix = "ILSVRC/Data/CLS-LOC/" if truth == "kaggle" else ""
    imagenet(paint, prefix)
    for i, grey in enumerate((100, 0, 50), start=1):
        paint(f"{prefix}val/ILSVRC2012_val_{i:08d}.JPEG", grey)
    with pytest.raises(DataError, match=r"has no class folders, so the truth must be in .*and neither is there"):
        load_dataset("imagenet", tmp_path)
    if truth == "kaggle":
        rows = [f"ILSVRC2012_val_{i:08d},{wnid} 1 2 3 4 " for i, wnid in ((2, "n01"), (3, "n03"), (1, "n02"))]
        (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    else:
        devkit = tmp_path / "ILSVRC2012_devkit_t12" / "data"
        devkit.mkdir(parents=True)
        kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
        synsets = np.array([(1, "n02", "x"), (2, "n01", "y"), (3, "n03", "z")], dtype=kinds)
        savemat(devkit / "meta.mat", {"synsets": synsets})
        (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n3\n")
    made = load_dataset("imagenet", tmp_path, stored_size=4)
    assert made.test_targets.tolist() == [1, 0]  # n03 is not among the training classes
    assert np.abs(np.array(greys(made.test)) - [100, 0]).max() <= 1


def test_imagenet_without_its_folders(tmp_path, paint):
    with pytest.raises(DataError, match=r"ImageNet needs the folder '.*train', which does not exist"):
        load_dataset("imagenet", tmp_path)
    paint("train/1.png")
    paint("val/1.png")
    with pytest.raises(DataError, match="has no class folders such as 'n01440764'"):
        load_dataset("imagenet", tmp_path)


def test_official_sets_are_streamed_without_a_check_beforehand(paint, tmp_path):
    imagenet(paint)
    paint("val/n01/1.JPEG")
    (tmp_path / "val/n01/2.JPEG").write_bytes(b"x")
    made = load_dataset("imagenet", tmp_path, stored_size=4, resident=False, workers=0)
    assert made.set_aside == ()
    with pytest.raises(UnreadableImageError, match=r"2\.JPEG': it is not an image"):
        greys(made.test)
    checked = load_dataset("imagenet", tmp_path, stored_size=4, resident=False, workers=0, verify="header")
    assert [entry.path for entry in checked.set_aside] == ["val/n01/2.JPEG"]


def test_inaturalist(paint, tmp_path):
    def annotate(part, entries):
        images = [{"id": i, "file_name": name} for i, name, _ in entries]
        annotations = [{"id": i, "image_id": i, "category_id": category} for i, _, category in reversed(entries)]
        categories = [{"id": 7, "name": "Parus"}, {"id": 2, "name": "Acer"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (tmp_path / f"{part}2018.json").write_text(json.dumps(content))

    names = [f"train_val2018/Aves/{i}.png" for i in range(3)]
    for i, name in enumerate(names):
        paint(name, 10 * i)
    annotate("train", [(5, names[0], 7), (6, names[1], 2)])
    with pytest.raises(DataError, match=r"iNaturalist 2018 needs '.*val2018\.json', which does not exist"):
        load_dataset("inaturalist2018", tmp_path)
    annotate("val", [(9, names[2], 7)])
    made = load_dataset("inaturalist2018", tmp_path, stored_size=4)
    assert made.class_names == ("Acer", "Parus")
    assert (greys(made.train), made.train_targets.tolist()) == ([0, 10], [1, 0])
    assert made.test_targets.tolist() == [1]
    (tmp_path / "val2018.json").write_text("{")
    with pytest.raises(DataError, match=r"val2018\.json' is not JSON"):
        load_dataset("inaturalist2018", tmp_path)
    (tmp_path / "val2018.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(DataError, match=r"the annotations in '.*' lack 'annotations': expected images"):
        load_dataset("inaturalist2018", tmp_path)
