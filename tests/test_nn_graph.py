"""Every translation and every fold against Keras, on small networks with numbers of their own."""

import json
import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from graphs import read_saved
from photographs import relative_difference

from pyimagesearch.nn import Description, Weights, why_not_finite
from pyimagesearch.nn.graph import (
    Graph,
    NoTranslationError,
    fold,
    layer_nodes,
    layer_paths,
    operations,
    read_graph,
)
from pyimagesearch.nn.graph.archive import opened
from pyimagesearch.nn.keraslayers import cut_model, layer_shapes
from pyimagesearch.nn.openvinonetwork import OpenVINONetwork

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (13, 15)
IMAGES = np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype(np.float32)


def layers():
    import keras

    return keras.layers


def chain(*makers):
    """Return what calls layers one after the other; each is made when it is needed."""

    def call(x):
        for make in makers:
            x = make(layers())(x)
        return x

    return call


def squeeze_and_excite(x):
    one = layers()
    x = one.Conv2D(24, 3, activation="swish")(x)
    s = one.GlobalAveragePooling2D()(x)
    s = one.Reshape((1, 1, 24))(s)
    s = one.Conv2D(6, 1, activation="silu")(s)
    return one.Multiply()([one.Conv2D(24, 1, activation="sigmoid")(s), x])


def spatial_attention(x):
    one = layers()
    weight = one.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return one.Multiply()([one.Conv2D(16, 3, padding="same")(x), weight])


def merged(name, n=3):
    def call(x):
        one = layers()
        return getattr(one, name)()([one.Conv2D(6, 2 * i + 1, padding="same")(x) for i in range(n)])

    return call


def used_twice(x):
    """A convolution whose normalisation must not go into it: its own numbers are needed, too."""
    one = layers()
    y = one.Conv2D(5, 3, padding="same")(x)
    return one.Concatenate()([one.BatchNormalization()(y), y, one.ReLU()(y)])


def shared_layer(x):
    same = layers().Conv2D(3, 3, padding="same", activation="relu")
    return layers().ELU()(same(same(x)))


def shared_model(x):
    import keras

    start = keras.Input((None, None, 3))
    inner = keras.Model(start, layers().Conv2D(3, 3, padding="same", activation="tanh")(start))
    return layers().Add()([inner(x), inner(inner(x))])


def sequential_within(x):
    import keras

    one = layers()
    inner = keras.Sequential([keras.Input((*SIZE, 3)), one.Conv2D(4, 3), one.BatchNormalization()])
    return one.ReLU()(inner(x))


def two_outputs_of_a_model_within(x):
    import keras

    one = layers()
    start = keras.Input((*SIZE, 3))
    inner = keras.Model(start, [one.Conv2D(4, 3)(start), one.Conv2D(5, 3)(start)])
    first, second = inner(x)
    return one.Concatenate()([second, first])


def model_within_a_model_at_the_end(x):
    import keras

    one = layers()
    start = keras.Input((*SIZE, 3))
    innermost = keras.Sequential([one.Conv2D(4, 3), one.ReLU()])
    inner = keras.Model(start, innermost(one.Rescaling(0.5)(start)))
    return inner(x)


def arithmetic(x):
    return layers().ReLU(6.0)(layers().Conv2D(16, 1)(x) + 3.0) * (1 / 6.0) - 0.5 + (2 - x[..., :1])


def functions_of_keras(x):
    from keras import ops

    y = ops.reshape(x[:, 1:9, ::2], (-1, 8, 8 * 3))
    y = ops.transpose(y, (0, 2, 1)) / 2.0
    y = ops.concatenate([y, -y], axis=1)
    y = ops.squeeze(ops.expand_dims(ops.gelu(y), 1), 1)
    y = ops.matmul(y, ops.transpose(ops.softmax(y), (0, 2, 1)))
    y = ops.minimum(ops.maximum(y, -0.5), ops.clip(y, -2, 0.75))
    return ops.mean(y, axis=1, keepdims=True) + ops.max(y, axis=(1, 2), keepdims=True)


def vision_transformer(x):
    one = layers()
    x = one.Conv2D(16, 3, strides=3)(x)
    x = one.Reshape((-1, 16))(x)
    y = one.LayerNormalization(epsilon=1e-6)(x)
    x = one.Add()([x, one.MultiHeadAttention(4, 8)(y, y)])
    y = one.LayerNormalization(epsilon=1e-6)(x)
    y = one.Dense(16)(one.Dense(32, activation="gelu")(y))
    return one.GlobalAveragePooling1D()(one.Add()([x, y]))


def inverted_residuals(x):
    """Return what a small EfficientNet-Lite gives, with statistics that training leaves."""
    one = layers()

    def normal(x, relu=True):
        x = one.BatchNormalization(epsilon=1e-3)(x)
        return one.ReLU(6.0)(x) if relu else x

    x = normal(one.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x))
    for n_out, strides in ((12, 1), (12, 1), (20, 2), (20, 1)):
        y = normal(one.Conv2D(6 * x.shape[-1], 1, use_bias=False)(x))
        y = one.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(y)
        y = normal(one.Conv2D(n_out, 1, use_bias=False)(normal(y)), relu=False)
        x = one.Add()([x, y]) if x.shape == y.shape else y
    return normal(one.Conv2D(64, 1, use_bias=False)(x))


def constants(x):
    from keras import ops

    rng = np.random.default_rng(2)
    row, pixels = (rng.normal(1, 0.2, shape).astype("f4") for shape in ((3,), (1, *SIZE, 3)))
    y = ops.subtract(row, ops.add(pixels, x * row)) / pixels
    return ops.multiply(row, ops.subtract(pixels, y)) - pixels


def looked_up(x):
    from keras import ops

    return layers().Embedding(7, 4)(ops.clip(x * 3.0 + 2.0, -0.9, 6.9))


def both_poolings(name, pool_size, strides, padding):
    return chain(
        lambda one: one.Conv2D(5, 1),
        lambda one: getattr(one, name)(pool_size, strides, padding=padding),
    )


CASES = {
    "same padding, stride 2": chain(
        lambda one: one.Conv2D(16, 3, strides=2, padding="same", activation="relu")
    ),
    "same padding, stride 3, even kernel": chain(
        lambda one: one.Conv2D(20, 4, strides=3, padding="same", activation="relu6")
    ),
    "dilated": chain(
        lambda one: one.Conv2D(8, 3, dilation_rate=2, padding="same", activation="silu")
    ),
    "oblong kernel and normalisation": chain(
        lambda one: one.Conv2D(8, (1, 7), padding="same"),
        lambda one: one.BatchNormalization(scale=False),
        lambda one: one.LeakyReLU(),
    ),
    "without bias": chain(
        lambda one: one.Conv2D(8, 3, use_bias=False),
        lambda one: one.BatchNormalization(center=False),
        lambda one: one.ReLU(),
    ),
    "groups": chain(
        lambda one: one.Conv2D(8, 1),
        lambda one: one.Conv2D(12, 3, groups=4, padding="same", activation="relu"),
    ),
    "depthwise, three filters each": chain(
        lambda one: one.Conv2D(4, 1),
        lambda one: one.DepthwiseConv2D(5, strides=2, depth_multiplier=3, padding="same"),
        lambda one: one.BatchNormalization(),
        lambda one: one.Activation("hard_sigmoid"),
    ),
    "depthwise, dilated": chain(
        lambda one: one.DepthwiseConv2D(3, dilation_rate=2, padding="same")
    ),
    "separable": chain(
        lambda one: one.Conv2D(8, 1),
        lambda one: one.SeparableConv2D(
            12, 3, depth_multiplier=2, padding="same", activation="tanh"
        ),
    ),
    "transposed": chain(lambda one: one.Conv2DTranspose(4, 3, activation="relu")),
    "transposed, stride 2, same": chain(
        lambda one: one.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False)
    ),
    "transposed, stride 3, kernel 2": chain(lambda one: one.Conv2DTranspose(4, 2, strides=3)),
    "transposed, stride 2, kernel 4, same": chain(
        lambda one: one.Conv2DTranspose(4, 4, strides=2, padding="same")
    ),
    "transposed, stride 3, kernel 2, same": chain(
        lambda one: one.Conv2DTranspose(4, 2, strides=3, padding="same")
    ),
    "transposed, padded output": chain(
        lambda one: one.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1)
    ),
    **{
        f"{name} {size} by {stride}, {padding}": both_poolings(name, size, stride, padding)
        for name in ("MaxPooling2D", "AveragePooling2D")
        for size, stride in ((2, 2), (3, 2), (3, 1), ((1, 3), (3, 2)))
        for padding in ("same", "valid")
    },
    **{
        f"{name} behind zeros{behind}": chain(
            lambda one: one.Conv2D(5, 1),
            lambda one, behind=behind: one.Activation("relu" if behind else "linear"),
            lambda one: one.ZeroPadding2D(((1, 0), (2, 1))),
            lambda one, name=name: getattr(one, name)(3, 2),
        )
        for name in ("MaxPooling2D", "AveragePooling2D")
        for behind in ("", " and a ReLU")
    },
    "average with same padding behind zeros": chain(
        lambda one: one.ZeroPadding2D(1),
        lambda one: one.AveragePooling2D(3, 2, padding="same"),
    ),
    "convolution behind zeros": chain(
        lambda one: one.ZeroPadding2D(((0, 1), (0, 2))), lambda one: one.Conv2D(4, 3, strides=2)
    ),
    "zeros, then cropped": chain(
        lambda one: one.ZeroPadding2D(((0, 1), (0, 1))),
        lambda one: one.Cropping2D(((1, 0), (1, 0))),
        lambda one: one.AveragePooling2D(1, 2),
        lambda one: one.Conv2D(4, 1),
    ),
    "cropped, then zeros": chain(
        lambda one: one.Cropping2D(((1, 2), (3, 0))),
        lambda one: one.ZeroPadding2D(2),
        lambda one: one.Conv2D(4, 1),
    ),
    "center crop": chain(lambda one: one.CenterCrop(8, 12)),
    "normalisation before a convolution": chain(
        lambda one: one.BatchNormalization(), lambda one: one.Conv2D(4, 3)
    ),
    "normalisation before a padded convolution": chain(
        lambda one: one.BatchNormalization(), lambda one: one.Conv2D(4, 3, padding="same")
    ),
    "normalisation before and behind zeros": chain(
        lambda one: one.BatchNormalization(),
        lambda one: one.ZeroPadding2D(1),
        lambda one: one.BatchNormalization(),
        lambda one: one.Conv2D(4, 3),
    ),
    "normalisation of groups' input": chain(
        lambda one: one.BatchNormalization(), lambda one: one.DepthwiseConv2D(3)
    ),
    "normalisation behind an activation": chain(
        lambda one: one.Conv2D(4, 3, activation="relu"), lambda one: one.BatchNormalization()
    ),
    "normalisation around a dense layer": chain(
        lambda one: one.GlobalAveragePooling2D(),
        lambda one: one.BatchNormalization(),
        lambda one: one.Dense(6),
        lambda one: one.BatchNormalization(),
    ),
    "normalisations only": chain(
        lambda one: one.BatchNormalization(), lambda one: one.Rescaling(2.0, 1.0)
    ),
    "rescaled channel by channel": chain(lambda one: one.Rescaling([1, 2, 3.0], [0.5, 0, 1])),
    "layer normalisation": chain(
        lambda one: one.Conv2D(6, 1),
        lambda one: one.LayerNormalization(),
        lambda one: one.Dense(7),
    ),
    "layer normalisation over all": chain(lambda one: one.LayerNormalization(axis=[1, 2, 3])),
    "layer normalisation over rows": chain(
        lambda one: one.LayerNormalization(axis=1, center=False)
    ),
    "group normalisation": chain(
        lambda one: one.Conv2D(12, 1), lambda one: one.GroupNormalization(groups=4)
    ),
    "instance normalisation": chain(lambda one: one.GroupNormalization(groups=-1)),
    "normalised by given numbers": chain(
        lambda one: one.Normalization(mean=[1, 2, 3.0], variance=[4, 5, 6.0])
    ),
    "normalised by one number, inverted": chain(
        lambda one: one.Normalization(axis=None, mean=3.0, variance=4.0, invert=True)
    ),
    "normalised place by place": chain(lambda one: one.Normalization(axis=(1, 3))),
    **{
        f"activation {name}": chain(lambda one, name=name: one.Activation(name))
        for name in (
            *("relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "exponential"),
            *("softplus", "softsign", "silu", "mish", "gelu", "hard_sigmoid", "hard_silu"),
            *("softmax", "linear"),
        )
    },
    "bounded ReLU": chain(lambda one: one.ReLU(max_value=0.7)),
    "leaky ReLU": chain(lambda one: one.ReLU(negative_slope=0.3)),
    "ELU": chain(lambda one: one.ELU(alpha=0.5)),
    "PReLU": chain(lambda one: one.Conv2D(8, 1), lambda one: one.PReLU(shared_axes=[1, 2])),
    "PReLU place by place": chain(lambda one: one.PReLU()),
    "softmax over rows": chain(lambda one: one.Softmax(axis=1)),
    "flattened": chain(
        lambda one: one.Conv2D(16, 3, strides=4),
        lambda one: one.Flatten(),
        lambda one: one.Dense(10, activation="relu"),
    ),
    "pooled, dense and normalised": chain(
        lambda one: one.Conv2D(16, 3),
        lambda one: one.GlobalAveragePooling2D(),
        lambda one: one.Dense(10, activation="gelu"),
        lambda one: one.LayerNormalization(),
    ),
    "pooled, with axes kept": chain(
        lambda one: one.Conv2D(16, 3), lambda one: one.GlobalMaxPooling2D(keepdims=True)
    ),
    "down to one pixel": chain(
        lambda one: one.Conv2D(16, 3, strides=4),
        lambda one: one.Conv2D(8, (3, 4)),
        lambda one: one.Reshape((8,)),
        lambda one: one.Dense(5),
    ),
    "dense on pixels": chain(
        lambda one: one.Dense(24, activation="elu"),
        lambda one: one.LayerNormalization(),
        lambda one: one.Dense(7),
    ),
    "permuted and repeated": chain(
        lambda one: one.Conv2D(4, 3),
        lambda one: one.Permute((3, 1, 2)),
        lambda one: one.Flatten(),
        lambda one: one.RepeatVector(3),
    ),
    "dense in another notation": chain(
        lambda one: one.Conv2D(4, 3),
        lambda one: one.EinsumDense("bhwc,cd->bhwd", (None, None, 6), bias_axes="d"),
        lambda one: one.Reshape((-1, 6)),
        lambda one: one.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="e"),
    ),
    **{
        f"enlarged, {kind}": chain(
            lambda one: one.Conv2D(4, 1),
            lambda one, kind=kind: one.UpSampling2D((2, 3), interpolation=kind),
        )
        for kind in ("nearest", "bilinear")
    },
    **{
        f"resized, {kind}, to {size}": chain(
            lambda one, kind=kind, size=size: one.Resizing(*size, interpolation=kind)
        )
        for kind in ("nearest", "bilinear")
        for size in ((7, 31), (5, 5), (26, 10))
    },
    **{
        f"only in training: {name}": chain(
            lambda one, name=name, settings=settings: getattr(one, name)(*settings)
        )
        for name, settings in {
            "ActivityRegularization": (),
            "AlphaDropout": (0.5,),
            "Dropout": (0.5,),
            "GaussianDropout": (0.5,),
            "GaussianNoise": (0.5,),
            "Identity": (),
            "RandomBrightness": (0.5,),
            "RandomColorDegeneration": (0.5,),
            "RandomColorJitter": (),
            "RandomContrast": (0.5,),
            "RandomElasticTransform": (),
            "RandomErasing": (),
            "RandomFlip": (),
            "RandomGaussianBlur": (),
            "RandomGrayscale": (),
            "RandomHue": (0.5,),
            "RandomInvert": (),
            "RandomPerspective": (),
            "RandomPosterization": (4,),
            "RandomRotation": (0.5,),
            "RandomSaturation": (0.5,),
            "RandomSharpness": (0.5,),
            "RandomShear": (0.5,),
            "RandomTranslation": (0.5, 0.5),
            "RandomZoom": (0.5,),
            "SpatialDropout2D": (0.5,),
        }.items()
    },
    **{
        f"merged: {name}": merged(name)
        for name in ("Add", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")
    },
    "merged: Subtract": merged("Subtract", 2),
    "concatenated along rows": lambda x: layers().Concatenate(axis=1)(
        [layers().Conv2D(3, 1)(x), x]
    ),
    **{
        function.__name__.replace("_", " "): function
        for function in (
            squeeze_and_excite,
            spatial_attention,
            used_twice,
            shared_layer,
            shared_model,
            sequential_within,
            two_outputs_of_a_model_within,
            model_within_a_model_at_the_end,
            arithmetic,
            functions_of_keras,
            inverted_residuals,
            constants,
            looked_up,
            vision_transformer,
        )
    },
}


def saved(build, folder: Path):
    """Save a network with numbers of its own; return the file and what Keras gives for IMAGES."""
    import keras

    keras.utils.set_random_seed(0)
    start = keras.Input((*SIZE, 3))
    # A network can only be cut after a layer, which a function of keras.ops is none.
    model = keras.Model(start, layers().Identity()(build(start)))
    rng = np.random.default_rng(1)
    for variable in model.weights:
        spread = rng.uniform(0.5, 2, variable.shape)
        value = spread if "variance" in variable.name else rng.normal(0, 0.3, variable.shape)
        variable.assign(value.astype(variable.dtype))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    path = folder / "net.keras"
    model.save(path)
    return path, np.asarray(model(IMAGES, training=False)), model


def describe(graph: Graph) -> Description:
    return Description(
        "a test", "last", "none", SIZE, "none", graph.output.shape, Weights("none", "")
    )


def compute(graph: Graph, images: np.ndarray = IMAGES) -> np.ndarray:
    rows = OpenVINONetwork(graph, describe(graph), "a test")(images)
    return rows.reshape(len(images), *graph.output.shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_network_gives_what_keras_gives_folded_or_not(name, tmp_path):
    path, expected, _ = saved(CASES[name], tmp_path)
    graph = read_saved(path, SIZE)
    assert relative_difference(compute(graph), expected) < 2e-6
    assert relative_difference(compute(fold(graph)), expected) < 2e-6


def test_a_number_without_a_row_in_a_table_gives_no_finite_features():
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    start = operations.image((1, 5, 3))
    numbers = np.float32([-3, -1, 3.9, 4, 1e9]).repeat(3).reshape(1, 1, 5, 3)
    (rows,) = compute(Graph(operations.look_up(start, table)), numbers)
    np.testing.assert_array_equal(rows[0, 2, 0], table[3])
    assert np.isnan(rows[0, [0, 1, 3, 4]]).all()


def test_features_beyond_single_precision_are_explained():
    kernel = np.full((1, 1, 3, 3), 1e30, np.float32)
    once = operations.convolution(operations.image((*SIZE, 3)), kernel, None)
    graph = Graph(operations.convolution(once, kernel, None))
    network = OpenVINONetwork(graph, describe(graph), "a test")
    assert not np.isfinite(network(np.ones_like(IMAGES))).any()
    why = why_not_finite(network)
    assert "beyond single precision" in why
    assert "half" not in why


def test_layers_called_with_constants_are_left_to_keras(tmp_path):
    constant = np.ones((1, *SIZE, 3), np.float32)
    path, *_ = saved(lambda x: layers().Add(name="sum")([x, constant]), tmp_path)
    with pytest.raises(NoTranslationError, match=r"layer 'sum' \(Add\): .* constant"):
        read_saved(path, SIZE)


def saved_with(tmp_path, change) -> Path:
    """Save a small network, and change the config in its file."""
    path, *_ = saved(chain(lambda one: one.Conv2D(4, 3, name="conv")), tmp_path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    conv = next(x for x in config["config"]["layers"] if x["config"]["name"] == "conv")
    change(conv)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda conv: conv.update(class_name="Lambda"), "a Lambda", id="code"),
        pytest.param(
            lambda conv: conv.update(module="os", class_name="system"),
            "a system of os, which is not Keras's own",
            id="another module",
        ),
        pytest.param(
            lambda conv: conv["config"].update(
                kernel_initializer={"module": "mine", "class_name": "Init", "config": {}}
            ),
            "a Init of mine, which is not Keras's own",
            id="another module's initializer",
        ),
        pytest.param(
            lambda conv: conv["config"].update(activation={"class_name": "function"}),
            "a function, which is code",
            id="a function by name",
        ),
        pytest.param(
            lambda conv: conv["config"].update(dtype="mixed_float16"),
            r"layer 'conv' \(Conv2D\): it computes in mixed_float16",
            id="half precision",
        ),
        pytest.param(
            lambda conv: conv["config"].update(data_format="channels_first"),
            r"layer 'conv' \(Conv2D\): its channels come first",
            id="channels first",
        ),
        pytest.param(
            lambda conv: conv["config"].update(activation="sparsemax"),
            r"layer 'conv' \(Conv2D\): activation sparsemax",
            id="another activation",
        ),
        pytest.param(
            lambda conv: conv["config"].update(filters=5),
            r"layer 'conv' \(Conv2D\): an array of \(3, 3, 3, 5\) has the shape \(3, 3, 3, 4\)",
            id="weights of another shape",
        ),
        pytest.param(
            lambda conv: conv["config"].update(use_bias=False),
            r"layer 'conv' \(Conv2D\): 1 arrays too many",
            id="weights too many",
        ),
        pytest.param(
            lambda conv: conv["config"].pop("strides"),
            r"layer 'conv' \(Conv2D\): settings that are not understood \(KeyError\('strides'\)\)",
            id="settings of another version",
        ),
    ],
)
def test_what_is_not_exactly_understood_is_left_to_keras(change, message, tmp_path):
    path = saved_with(tmp_path, change)
    with pytest.raises(NoTranslationError, match=message):
        read_saved(path, SIZE, "conv")


def test_code_behind_the_cut_is_left_to_keras_too(tmp_path):
    import keras

    start = keras.Input((*SIZE, 3))
    x = layers().Conv2D(4, 3, name="conv")(start)
    keras.Model(start, layers().Lambda(lambda y: 2 * y)(x)).save(tmp_path / "net.keras")
    with pytest.raises(NoTranslationError, match="a Lambda, which is code"):
        read_saved(tmp_path / "net.keras", SIZE, "conv")


@pytest.mark.parametrize("damage", ["half", "no weights", "no config"])
def test_a_damaged_file_is_left_to_keras(damage, tmp_path):
    path, *_ = saved(chain(lambda one: one.Conv2D(4, 3, name="conv")), tmp_path)
    if damage == "half":
        os.truncate(path, path.stat().st_size // 2)
    else:
        left_out = {"no weights": "model.weights.h5", "no config": "config.json"}[damage]
        with zipfile.ZipFile(path) as archive:
            kept = {name: archive.read(name) for name in archive.namelist() if name != left_out}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in kept.items():
                archive.writestr(name, content)
    with pytest.raises(NoTranslationError, match="the file cannot be read"):
        read_saved(path, SIZE, "conv")


def test_places_are_named_as_in_networks_of_keras(tmp_path):
    import keras

    start = keras.Input((*SIZE, 3))
    inner = keras.Sequential([layers().Conv2D(3, 3, padding="same", name="conv")], name="inner")
    same = layers().ReLU(name="same")
    y = same(inner(same(inner(start))))
    model = keras.Model(start, layers().Dense(2, activation="softmax", name="head")(y))
    model.save(tmp_path / "net.keras")
    with opened(tmp_path / "net.keras") as (config, arrays, _):
        nodes = layer_nodes(config, arrays, SIZE)
        assert list(nodes) == layer_paths(config)
        assert {path: node.shape for path, node in nodes.items()} == layer_shapes(model)
        assert list(nodes) == list(layer_shapes(model))
        for path in ("inner/conv", "same", "inner:2/conv", "same:2"):
            graph = read_graph(config, arrays, SIZE, path)
            expected = np.asarray(cut_model(model, path)(IMAGES))
            assert relative_difference(compute(graph), expected) < 2e-6


def test_a_deep_graph_travels(tmp_path):
    x = operations.image((4, 4, 3))
    for _ in range(3000):
        x = operations.activation(x, "relu")
    arrived = pickle.loads(pickle.dumps(Graph(x)))
    assert len(arrived.nodes) == 3001
    assert arrived.input.shape == (4, 4, 3)


def test_an_image_is_computed_alone_whatever_the_threads(tmp_path):
    path, *_ = saved(CASES["squeeze and excite"], tmp_path)
    graph = fold(read_saved(path, SIZE))
    alone = np.concatenate([compute(graph, image[None]) for image in IMAGES])
    np.testing.assert_array_equal(compute(graph), alone)
    description = describe(graph)
    network = OpenVINONetwork(graph, description, "a test")
    many = np.concatenate([IMAGES] * 20)
    with ThreadPoolExecutor(4) as pool:
        rows = np.concatenate(list(pool.map(network, np.split(many, 10))))
    np.testing.assert_array_equal(rows, np.concatenate([alone.reshape(2, -1)] * 20))
    with pytest.raises(TypeError, match="keeps no arrays to pickle"):
        pickle.dumps(network)
