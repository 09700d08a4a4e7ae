"""Random weights: drawn alike for networks that Keras builds and for those that it does not."""

import hashlib

import numpy as np
import pytest
from smallnetworks import SIZE, SMALL, load_small, load_vgg

from pyimagesearch.nn import kerasmodel, zoo
from pyimagesearch.nn.weights import HeNormal

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_digest_is_that_of_all_numbers_in_their_order():
    drawn = HeNormal()
    kernel, bias = drawn.kernel((3, 3, 2, 4), fan_in=18), drawn.constant((4,), "bias")
    assert kernel.dtype == bias.dtype == np.float32
    assert drawn.sha256 == hashlib.sha256(kernel.tobytes() + bias.tobytes()).hexdigest()


@pytest.mark.slow
def test_random_weights_of_a_chain_are_he_initialised_and_those_of_keras_too():
    arrays, drawn = load_vgg("random")
    for kernel, bias in arrays:
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / kernel[..., 0].size), rtol=0.05)
        assert not bias.any()
    model = zoo.build(zoo.ZOO["VGG16"], SIZE)
    assert kerasmodel.fill_with_random(model) == drawn.sha256
    np.testing.assert_array_equal(model.get_weights()[-2], arrays[-1][0])


@pytest.mark.slow
def test_random_weights_of_layers_that_normalise_pass_on_what_they_get():
    model = zoo.build(SMALL, SIZE)
    digest = kerasmodel.fill_with_random(model)
    assert kerasmodel.fill_with_random(zoo.build(SMALL, SIZE)) == digest
    arrays, drawn = load_small("random")
    assert drawn.sha256 == digest
    for got, layer in zip(arrays, (each for each in model.layers if each.weights), strict=True):
        for array, expected in zip(got, layer.weights, strict=True):
            np.testing.assert_array_equal(array, expected.numpy())
    by_name = {variable.path.split("/")[-1]: variable.numpy() for variable in model.weights}
    assert (by_name["gamma"] == 1).all()
    assert (by_name["moving_variance"] == 1).all()
    assert (by_name["beta"] == 0).all()
    assert (by_name["moving_mean"] == 0).all()
