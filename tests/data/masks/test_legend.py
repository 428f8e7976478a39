import json

import numpy as np
import pytest
from PIL import Image

from minimax_al.data.masks.colour_maps import in_order, read_class_list, read_colour_map
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.void_names import is_void
from minimax_al.errors import ConfigurationError, DataError

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


def test_labels_follow_the_names_and_void_is_no_class():
    legend = Legend.of_names(["road", "Void", "tree"])
    assert legend.class_names == ("road", "tree")
    labels = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    assert legend.read(Image.fromarray(labels), "m").tolist() == [[0, 255], [1, 255]]


def paletted(labels):
    mask = Image.fromarray(labels, "L").convert("P")
    mask.putdata(labels.flatten().tolist())
    mask.putpalette([*BLACK, *RED, *GREEN])
    return mask


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "I", "RGB", "RGBA", "LA"])
def test_labels_are_read_from_any_mode(mode):
    labels = np.array([[0, 1, 1], [2, 0, 1]], dtype=np.uint8)
    mask = {
        "P": paletted,
        "I;16": lambda x: Image.fromarray(x.astype(np.uint16)),
        "I": lambda x: Image.fromarray(x.astype(np.int32)),
    }.get(mode, lambda x: Image.fromarray(x).convert(mode))(labels)
    assert mask.mode == mode
    assert Legend.of_names(["a", "b", "c"]).read(mask, "m").tolist() == labels.tolist()


def test_one_bit_masks_tell_two_classes_apart():
    mask = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert Legend.of_names(["ground", "cell"]).read(mask, "m").tolist() == [[0, 1]]


def test_colours_equal_a_look_up_pixel_by_pixel():
    generator = np.random.default_rng(0)
    colours = {f"class {i}": tuple(generator.integers(0, 256, 3).tolist()) for i in range(7)} | {"void": BLACK}
    legend = Legend.of_colours(colours)
    assert legend.class_names == tuple(f"class {i}" for i in range(7))
    drawn = generator.integers(0, 8, (9, 11))
    pixels = np.array(list(colours.values()), dtype=np.uint8)[drawn]
    assert legend.read(Image.fromarray(pixels), "m").tolist() == np.where(drawn == 7, 255, drawn).tolist()


def test_a_colour_map_reads_palettes_and_grey_masks_by_their_colours():
    binary = Legend.of_colours({"ground": BLACK, "cell": (255, 255, 255)})
    assert binary.read(Image.fromarray(np.array([[0, 255]], dtype=np.uint8)), "m").tolist() == [[0, 1]]
    named = Legend.of_colours({"green": GREEN, "red": RED, "black": BLACK})
    assert named.read(paletted(np.array([[0, 1, 2]], dtype=np.uint8)), "m").tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_a_label_outside_of_the_classes_is_named_with_file_and_pixel(dtype):
    labels = np.zeros((4, 6), dtype=dtype)
    labels[2, 5] = labels[3, 0] = 7
    sentence = r"'m.png' has the label 7 at pixel \(row 2, column 5\), but the labels of the 3 classes are 0 to 2"
    with pytest.raises(DataError, match=sentence):
        Legend.of_names(["a", "b", "c"]).read(Image.fromarray(labels), "m.png")


@pytest.mark.parametrize("label", [-1, 70_000])
def test_labels_of_no_table_are_refused(label):
    mask = Image.fromarray(np.array([[0, label]], dtype=np.int32))
    with pytest.raises(DataError, match=rf"label {label} at pixel \(row 0, column 1\)"):
        Legend.of_names(["a", "b"]).read(mask, "m")


def test_a_colour_that_the_map_does_not_have_is_named():
    pixels = np.zeros((3, 3, 3), dtype=np.uint8)
    pixels[1, 2] = (1, 2, 3)
    with pytest.raises(DataError, match=r"'m' has the colour \(1, 2, 3\) at pixel \(row 1, column 2\)"):
        Legend.of_colours({"black": BLACK, "red": RED}).read(Image.fromarray(pixels), "m")


def test_colour_masks_without_a_map_are_refused():
    pixels = np.zeros((3, 3, 3), dtype=np.uint8)
    pixels[2, 0] = RED
    with pytest.raises(DataError, match=r"'m' is in colour \(\(255, 0, 0\) at pixel \(row 2, column 0\)\).*colour map"):
        Legend.of_names(["a", "b"]).read(Image.fromarray(pixels), "m")


def test_fractional_labels_are_refused():
    with pytest.raises(DataError, match="holds fractions"):
        Legend.of_names(["a", "b"]).read(Image.fromarray(np.zeros((2, 2), dtype=np.float32)), "m")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("legend", [Legend.of_names(["a", "b"]), Legend.of_colours({"a": BLACK, "b": RED})])
def test_transparent_pixels_are_refused(mode, legend):
    mask = Image.new(mode, (3, 2))
    mask.putalpha(255)
    assert legend.read(mask, "m").tolist() == [[0, 0, 0], [0, 0, 0]]
    mask.putpixel((2, 1), (0,) * len(mode))
    with pytest.raises(DataError, match=r"'m' is transparent at pixel \(row 1, column 2\)"):
        legend.read(mask, "m")


def test_numbers_may_be_fixed_before_the_colours_are_known():
    legend = Legend.of_colours({"red": RED, "green": GREEN, "black": BLACK}, ["black", "void", "red"])
    assert legend.class_names == ("black", "void", "red")
    assert legend.read(Image.fromarray(np.array([[RED, GREEN, BLACK]], np.uint8)), "m").tolist() == [[2, 255, 0]]


def test_names_and_colours_must_differ():
    with pytest.raises(DataError, match="'a' is there 2 times"):
        Legend.of_names(["a", "b", "a"])
    with pytest.raises(DataError, match=r"'a' and 'b' have the same colour \(255, 0, 0\)"):
        Legend.of_colours({"a": RED, "b": RED})
    with pytest.raises(ConfigurationError, match="256 classes are more than the 255"):
        Legend.of_names([str(i) for i in range(256)])
    with pytest.raises(ConfigurationError, match="256 classes are more than the 255"):
        Legend.of_numbers([str(i) for i in range(256)])


@pytest.mark.parametrize("count", [256, 300])
@pytest.mark.parametrize("voids", [range(50), range(200, 250), [3, *range(256, 300)]])
def test_the_label_255_is_never_a_class(count, voids):
    names = [f"class {i}" for i in range(count)]
    void = [names[i] for i in voids if i < count]
    with pytest.raises(
        ConfigurationError, match="the class 'class 255' has the label 255, which is void in every mask"
    ):
        Legend.of_names(names, void)
    if len(void) + 1 < count:
        legend = Legend.of_names(names, [*void, names[255]])
        mask = Image.fromarray(np.array([[254, 255]], np.uint8))
        assert legend.read(mask, "m").tolist() == [[legend.labels[254], 255]]


MAP = {"ground": BLACK, "a, b": RED}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.json", json.dumps({name: list(colour) for name, colour in MAP.items()})),
        ("map.yaml", "ground: [0, 0, 0]\n'a, b': [255, 0, 0]\n"),
        ("map.csv", '\ufeffname,r,g,b\nground,0,0,0\n"a, b",255, 0,0\n\n'),
        ("map.csv", 'ground,0,0,0\n"a, b",255,0,0\n'),
        ("map.csv", "name;red;green;blue;;\nground;0;0;0;;\n;;;;;\na, b;255;0;0;;\n"),
        ("map.csv", 'r,g,b,name\n0,0,0,ground\n255,0,0,"a, b"\n'),
        ("map.csv", "class\tcolour\nground\t#000000\na, b\t#FF0000\n"),
        ("map.csv", 'ground,#000000\n"a, b",#ff0000\n'),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nground:0,0,0::\n\na, b: 255,0,0:x,y:walk\n"),
    ],
)
def test_colour_maps_of_every_format_say_the_same(tmp_path, name, text):
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        assert read_colour_map(tmp_path / name) == MAP


def test_names_in_label_maps_may_have_colons(tmp_path):
    (tmp_path / "labelmap.txt").write_text("  # comment\nroad:wet:1,2,3::\n12:30:4,5,6::\n")
    assert read_colour_map(tmp_path / "labelmap.txt") == {"road:wet": (1, 2, 3), "12:30": (4, 5, 6)}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("m.json", "{", "cannot be read"),
        ("m.yaml", "a: [", "cannot be read"),
        ("m.yaml", "- a", "must map names"),
        ("m.yaml", "", "must map names"),
        ("m.json", "{}", "is empty"),
        ("m.csv", "", "is empty"),
        ("m.csv", "a,1,2\n", r"colour \['1', '2'\] of 'a' in the colour map"),
        ("m.csv", "a,1,2,300\n", "300"),
        ("m.csv", "a,1,2,²\n", r"colour \['1', '2', '²'\] of 'a'"),
        ("m.csv", "a,1,2,3\na,3,2,1\n", "names 'a' twice"),
        ("m.json", '{"a": "red"}', "colour 'red' of 'a'"),
        ("m.txt", "a\n", r"colour \[''\] of 'a' in the colour map"),
        ("m.txt", "# nothing\n", "is empty"),
        ("m.json", '{"a": [1, 2, -3]}', "0 to 255 each"),
        pytest.param("m.csv", f"a,1,2,{'9' * 5000}\n", "0 to 255 each", id="long number"),
        pytest.param("m.json", f'{{"a": [1, 2, {"9" * 5000}]}}', "cannot be read: Exceeds", id="long number in JSON"),
        pytest.param("m.csv", f"{'x' * 200_000},1,2,3\n", "is not CSV: field larger than", id="long name"),
        ("m.csv", "PK\x03\x04", "is a workbook or a ZIP archive, not text"),
    ],
)
def test_bad_colour_maps(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=sentence):
        read_colour_map(tmp_path / name)


@pytest.mark.parametrize(
    "names",
    [
        *(("no", "yes"), ("on", "off"), ("null", "nan"), ("007", "010"), ("1", "2"), ("1.0", "1e3"), ("~", "true")),
        *(("2024-01-01", "12:30"), ("0x10", "0b1"), ("=", "<<"), ("1_000", "+1"), ("No", "no")),
    ],
)
def test_yaml_names_are_text_as_they_are_written(tmp_path, names):
    (tmp_path / "m.yaml").write_text("".join(f"{name}: [{i}, 0, 255]\n" for i, name in enumerate(names)))
    assert read_colour_map(tmp_path / "m.yaml") == {name: (i, 0, 255) for i, name in enumerate(names)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", "a: '#0000ff'\nb: \"#FF8000\"\n"),
        ("m.json", '{"a": "#0000FF", "b": [255, 128, 0]}'),
        ("m.yaml", "a: [0, 0, 255]\nb: ['255', 128, 0]\n"),
    ],
)
def test_colours_may_be_hexadecimal(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_colour_map(tmp_path / name) == {"a": (0, 0, 255), "b": (255, 128, 0)}


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.json", '{"a": [1, 2, 3], "a": [3, 2, 1]}'), ("m.yaml", "a: [1, 2, 3]\na: [3, 2, 1]\n")],
)
def test_a_name_that_occurs_twice_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="names 'a' twice"):
        read_colour_map(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "void",
        "Ignore",
        "unlabelled",
        "Unlabeled",
        "ignore_index",
        "void class",
        "don't care",
        "out of ROI",
        "un-labelled",
    ],
)
def test_names_of_void(name):
    assert is_void(name)
    assert Legend.of_names(["road", name, "tree"]).class_names == ("road", "tree")
    assert Legend.of_names(["road", name, "tree"], void=[]).class_names == ("road", name, "tree")


@pytest.mark.parametrize("name", ["background", "other", "unknown", "avoid", "devoid", "n/a", "1", "", "label", "area"])
def test_other_names_are_classes_unless_named_as_void(name):
    assert not is_void(name)
    assert Legend.of_names(["road", name, "tree"]).class_names == ("road", name, "tree")
    assert Legend.of_names(["road", name, "tree"], void=[name]).labels == {0: 0, 1: 255, 2: 1}
    colours = {"road": BLACK, name: RED}
    assert Legend.of_colours(colours, void=[name]).colours == {BLACK: 0, RED: 255}


def test_a_void_name_that_is_not_listed_is_refused():
    with pytest.raises(DataError, match="void='rode' is not in the list of names; did you mean 'road'"):
        Legend.of_names(["road", "tree"], void=["rode"])


def test_a_class_list_orders_a_colour_map():
    ordered = in_order({"red": RED, "void": BLACK, "green": GREEN}, ["green", "red"])
    assert list(ordered) == ["green", "red", "void"]
    with pytest.raises(DataError, match="'gren' has no colour in the colour map; did you mean 'green'"):
        in_order({"green": GREEN}, ["gren"])
    with pytest.raises(DataError, match="names 'red', which is not in the list"):
        in_order({"green": GREEN, "red": RED}, ["green"])


def test_class_lists(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("\ufeffroad\n\n tree \n", encoding="utf-8")
    assert read_class_list(file) == ["road", "tree"]
    file.write_text("\n")
    with pytest.raises(DataError, match="lists no class"):
        read_class_list(file)
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"is not UTF-16.*: save it as UTF-8"):
        read_class_list(file)
