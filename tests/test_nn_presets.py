"""Presets of KerasHub give the features that KerasHub itself gives."""

import dataclasses
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from smallpresets import FAMILIES, SIDE, save_preset
from test_nn_whole import written

from pyimagesearch.nn import (
    PREPROCESSINGS,
    Description,
    NetworkChoice,
    check_built_in,
    check_described,
    list_layers,
    load_described,
    load_network,
)
from pyimagesearch.nn.conversion import Conversion
from pyimagesearch.utils import InputError

pytestmark = [
    pytest.mark.keras_hub,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
]

# How many tokens are before those of the patches, where there are tokens.
LEADING = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3": 3, "vit": 1, "deit": 2, "clip": 1}
LEADING |= {"swin": 0, "pali_gemma": 0}
# Which part of those that take something else besides is for images.
TOWERS = {"CLIPBackbone": "vision_encoder", "SigLIPBackbone": "vision_encoder"}
TOWERS |= {"PaliGemmaBackbone": "vit_encoder", "SAMBackbone": "image_encoder"}


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    """Return what makes each preset once."""
    root = tmp_path_factory.mktemp("presets")

    def made(family: str, **converter) -> Path:
        folder = root / "-".join([family, *map(str, converter.values())])
        return folder if folder.exists() else save_preset(folder, family, **converter)

    return made


def pixels(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)


def by_hand(folder: Path, *images: np.ndarray) -> np.ndarray:
    """Return what KerasHub's own converter and backbone give."""
    import keras
    import keras_hub

    config = json.loads((folder / "image_converter.json").read_text())
    converter = keras.saving.deserialize_keras_object(config)
    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    backbone = getattr(backbone, TOWERS.get(type(backbone).__name__, ""), backbone)
    batch = np.stack([converter(image.astype(np.float32)) for image in images])
    names = list(backbone.input) if isinstance(backbone.input, dict) else None
    given = backbone({names[0]: batch} if names else batch)
    return np.asarray(given["stage2"] if isinstance(given, dict) else given)  # HGNetV2's last


def features(choice: NetworkChoice, *images: np.ndarray) -> np.ndarray:
    network = load_network(choice)
    rows = network(np.stack([network.preprocess(image) for image in images]))
    return rows.reshape(len(images), *network.description.feature_shape)


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_features_are_those_of_keras_hubs_converter_and_backbone(preset, family):
    folder = preset(family)
    images = pixels(), pixels(70, 33)
    expected = by_hand(folder, *images)
    if family in LEADING:  # the usual pooling of tokens
        expected = expected[:, 0] if LEADING[family] else expected.mean(axis=1)
    assert_same(features(NetworkChoice(str(folder)), *images), expected)


@pytest.mark.parametrize("family", ["dinov2_with_registers", "deit"])
def test_averages_and_maxima_are_those_of_the_patches(preset, family):
    folder = preset(family)
    tokens = features(NetworkChoice(str(folder), pooling="none"), pixels())
    assert_same(tokens, by_hand(folder, pixels()))
    average = features(NetworkChoice(str(folder), pooling="avg"), pixels())
    assert_same(average, tokens[:, LEADING[family] :].mean(axis=1))
    largest = features(NetworkChoice(str(folder), pooling="max"), pixels())
    assert_same(largest, tokens[:, LEADING[family] :].max(axis=1))


def test_within_a_mixtransformer_all_tokens_are_patches(preset):
    choice = NetworkChoice(str(preset("mit")), layer="hierarchical_encoder_0_0", pooling="none")
    tokens = features(choice, pixels())
    assert tokens.shape == (1, 64, 8)
    assert_same(features(dataclasses.replace(choice, pooling="avg"), pixels()), tokens.mean(axis=1))


@pytest.mark.parametrize(
    ("family", "takes"),
    [
        pytest.param("bert", "BertBackbone takes (None, None), (None, None), ", id="texts"),
        pytest.param("video_prism", "VideoPrismBackbone takes (None, 2, 32, 32, 3), ", id="videos"),
    ],
)
def test_a_preset_for_something_else_is_refused_in_one_line(preset, family, takes):
    with pytest.raises(InputError) as caught:
        load_network(NetworkChoice(str(preset(family)), size=(SIDE, SIDE)))
    message = str(caught.value)
    assert f"preset '{family}' is no network for single images: its {takes}" in message
    assert message.endswith("expected one that takes (None, height, width, 3)")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        pytest.param("dinov2", "dinov2_backbone_encoder/layers_0", id="DINOv2"),
        pytest.param("dinov3", "dinov3_backbone_encoder/layers_0", id="DINOv3"),
        pytest.param("vit", "vit_encoder/transformer_block_1", id="ViT"),
        pytest.param("deit", "deit_encoder/transformer_block_1", id="DeiT"),
        pytest.param("swin", "stage_0/blocks_0", id="Swin"),
        pytest.param("clip", "clip_vision_encoder_encoder_block_0", id="CLIP"),
    ],
)
def test_a_network_is_cut_at_a_block(preset, family, layer):
    folder = preset(family)
    assert layer in list_layers(NetworkChoice(str(folder)))
    import keras_hub

    choice = NetworkChoice(str(folder), layer=layer, pooling="none")
    network = load_network(choice)
    prepared = network.preprocess(pixels())[np.newaxis]
    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    backbone = getattr(backbone, "vision_encoder", backbone)
    seen = []
    (block,) = (
        each
        for each in backbone._flatten_layers()
        if each.name == layer.rpartition("/")[2]
        and (not layer.startswith("stage") or each.path.startswith("stage_0"))
    )
    call = type(block).call

    def spied(self, *arguments, **options):
        given = call(self, *arguments, **options)
        if self is block:
            seen.append(np.asarray(given[0] if isinstance(given, tuple) else given))
        return given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(block), "call", spied)
        names = list(backbone.input) if isinstance(backbone.input, dict) else None
        backbone({names[0]: prepared} if names else prepared)
    assert_same(network(prepared).reshape(seen[0].shape), seen[0])


@pytest.mark.parametrize(
    "converter",
    [
        pytest.param({"crop_to_aspect_ratio": False, "interpolation": "bilinear"}, id="squashed"),
        pytest.param(
            {"crop_to_aspect_ratio": False, "pad_to_aspect_ratio": True, "antialias": False},
            id="padded",
        ),
        pytest.param({"interpolation": "nearest", "scale": 1 / 255, "offset": None}, id="plain"),
    ],
)
def test_images_are_prepared_as_by_the_converter(preset, converter):
    folder = preset("densenet", **converter)
    assert_same(features(NetworkChoice(str(folder)), pixels()), by_hand(folder, pixels()))


def test_the_description_holds_the_preprocessing_and_gives_the_network_back(preset):
    folder = preset("dinov2")
    network = load_network(NetworkChoice(str(folder)))
    recorded = json.loads(json.dumps(network.description.to_json()))
    assert recorded["preprocessing"] == {
        "interpolation": "bicubic",
        "antialias": True,
        "crop_to_aspect_ratio": True,
        "pad_to_aspect_ratio": False,
        "scale": [1 / 58.4, 1 / 57.1, 1 / 57.4],
        "offset": [-2.1, -2.0, -1.8],
    }
    assert recorded["weights"]["name"] == recorded["network"] == folder.name
    description = Description.from_json(recorded)
    assert description == network.description
    assert isinstance(description.preprocessing, Conversion)
    again = load_described(description, folder)
    batch = network.preprocess(pixels())[np.newaxis]
    assert np.array_equal(again(batch), network(batch))


@pytest.mark.parametrize(
    "file", ["config.json", "image_converter.json", "model.weights.h5"], ids=lambda file: file
)
def test_another_file_is_another_preset(preset, tmp_path, file):
    folder = Path(shutil.copytree(preset("densenet"), tmp_path / "copy"))
    description = load_network(NetworkChoice(str(folder))).description
    check_described(description, folder)
    with (folder / file).open("ab") as changed:
        changed.write(b"\n")
    with pytest.raises(InputError, match="was recorded: give the file that the features were made"):
        check_described(description, folder)


def test_another_size_is_taken_where_positions_can_be_interpolated(preset):
    import keras_hub

    folder = preset("dinov2")
    network = load_network(NetworkChoice(str(folder), size=(48, 48), pooling="none"))
    assert network.description.feature_shape == (37, 8)
    prepared = network.preprocess(pixels())[np.newaxis]
    assert prepared.shape == (1, 48, 48, 3)
    backbone = keras_hub.models.Backbone.from_preset(str(folder), image_shape=(48, 48, 3))
    expected = np.asarray(backbone({"images": prepared}))
    assert_same(network(prepared).reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        pytest.param("vit", "preset 'vit' cannot take images of 48 x 48", id="ViT"),
        pytest.param("clip", "preset 'clip' takes images of 32 x 32 pixels only", id="CLIP"),
    ],
)
def test_another_size_is_refused_in_one_line_where_they_cannot(preset, family, message):
    with pytest.raises(InputError, match=message) as caught:
        load_network(NetworkChoice(str(preset(family)), size=(48, 48)))
    assert "\n" not in str(caught.value)


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def name_unknown_class(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("DenseNetBackbone", "NoneSuch"))


def truncate_weights(folder: Path) -> None:
    file = folder / "model.weights.h5"
    file.write_bytes(file.read_bytes()[:-500])


def drop_a_layer(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["layers/conv2d"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(break_config, "cannot build the network of preset", id="config"),
        pytest.param(name_unknown_class, "cannot build the network of preset", id="class"),
        pytest.param(truncate_weights, "weights file .* is damaged or not", id="weights"),
        pytest.param(drop_a_layer, "weights file .* is damaged or not", id="layer"),
        pytest.param(
            lambda folder: (folder / "model.weights.h5").unlink(),
            "no file .*model.weights.h5': expected that of a preset",
            id="no weights",
        ),
        pytest.param(
            lambda folder: (folder / "config.json").unlink(),
            "no file .*config.json': expected a folder as KerasHub's save_to_preset makes it",
            id="no config",
        ),
        pytest.param(
            lambda folder: (folder / "image_converter.json").unlink(),
            "expected image_converter.json in its folder; give the preproc",
            id="no converter",
        ),
    ],
)
def test_a_damaged_preset_is_refused_in_one_line(preset, tmp_path, damage, message):
    folder = Path(shutil.copytree(preset("densenet"), tmp_path / "copy"))
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_network(NetworkChoice(str(folder), size=(SIDE, SIDE)))
    assert "\n" not in str(caught.value)


def test_a_pooling_that_a_network_does_not_have_is_refused(preset):
    for family in ("swin", "siglip", "densenet"):
        with pytest.raises(InputError, match="pooling 'cls' has no cls token to take"):
            load_network(NetworkChoice(str(preset(family)), pooling="cls"))
    with pytest.raises(InputError, match="engine 'openvino' cannot compute"):
        load_network(NetworkChoice(str(preset("densenet"))), engine="openvino")


def test_a_preset_travels_to_a_worker_as_it_is(preset):
    network = load_network(NetworkChoice(str(preset("deit")), pooling="avg"))
    arrived = pickle.loads(pickle.dumps(network))
    assert (arrived.description, arrived.batch_size) == (network.description, network.batch_size)
    batch = network.preprocess(pixels())[np.newaxis]
    assert_same(arrived(batch), network(batch))
    assert np.array_equal(arrived.preprocess(pixels()), network.preprocess(pixels()))


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        pytest.param("dinov2", "dinov2_backbone", id="DINOv2"),
        pytest.param("deit", "dei_t_backbone", id="DeiT"),
        pytest.param("siglip", "siglip_vision", id="SigLIP"),
        pytest.param("resnet", "res_net_backbone", id="ResNet"),
    ],
)
def test_a_file_of_a_backbone_is_used_alone_and_below_a_classifier(preset, tmp_path, family, layer):
    import keras
    import keras_hub

    backbone = keras_hub.models.Backbone.from_preset(str(preset(family)))
    backbone = getattr(backbone, "vision_encoder", backbone)
    names = list(backbone.input) if isinstance(backbone.input, dict) else None
    start = keras.Input((SIDE, SIDE, 3))
    given = backbone({names[0]: start} if names else start)
    head = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(given))
    backbone.save(tmp_path / "alone.keras")
    keras.Model(start, head).save(tmp_path / "classifier.keras")
    image = pixels(SIDE, SIDE)
    prepared = PREPROCESSINGS["torch"](image)[np.newaxis]
    expected = np.asarray(backbone({names[0]: prepared} if names else prepared))
    if family in LEADING:
        expected = expected[:, 0]
    for name in ("alone", "classifier"):
        file = str(tmp_path / f"{name}.keras")
        choice = NetworkChoice(file, preprocessing="torch", size=(SIDE, SIDE))
        assert_same(features(choice, image), expected)
    assert load_network(choice).description.layer == layer
    with zipfile.ZipFile(tmp_path / "classifier.keras") as archive:
        assert "keras_hub" in archive.read("config.json").decode()


def test_a_block_of_a_backbone_in_a_file_is_a_place_to_cut(preset, tmp_path):
    import keras_hub

    folder = preset("dinov2")
    keras_hub.models.Backbone.from_preset(str(folder)).save(tmp_path / "own.keras")
    layer = "dinov2_backbone_encoder/layers_0"
    of_file = NetworkChoice(
        str(tmp_path / "own.keras"), layer=layer, pooling="avg", preprocessing="torch"
    )
    of_preset = NetworkChoice(str(folder), layer=layer, pooling="avg", preprocessing="torch")
    assert layer in list_layers(of_file)
    image = pixels(SIDE, SIDE)
    assert_same(features(of_file, image), features(of_preset, image))


@pytest.mark.parametrize("pooling", ["cls", "avg", "max", "none"])
def test_layers_of_keras_hub_become_no_whole_model(preset, pooling, tmp_path, monkeypatch):
    import keras_hub

    monkeypatch.chdir(tmp_path)
    keras_hub.models.Backbone.from_preset(str(preset("vit"))).save("vit.keras")
    for network in ("vit.keras", str(preset("vit"))):
        choice = NetworkChoice(network, pooling=pooling, preprocessing="torch", size=(SIDE, SIDE))
        found = load_network(choice).description
        message = "layer 'vit_patching_and_embedding' of 'vit.*' is of the package keras_hub"
        with pytest.raises(InputError, match=message):
            check_built_in(found, Path(network), jobs=1)
        with pytest.raises(InputError, match=message):
            written(choice, "a.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["vit.keras"]


@pytest.mark.parametrize("pooling", ["avg", "none"])
@pytest.mark.usefixtures("in_this_process")
def test_a_network_of_keras_hub_with_keras_own_layers_does(preset, pooling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = str(preset("resnet"))
    choice = NetworkChoice(folder, pooling=pooling, preprocessing="torch", size=(SIDE, SIDE))
    check_built_in(load_network(choice).description, Path(folder), jobs=1)
    *_, differences = written(choice, "a.keras")
    assert differences[Path("a.keras")] < 1e-5
    with zipfile.ZipFile("a.keras") as archive:
        assert "keras_hub" not in archive.read("config.json").decode()
