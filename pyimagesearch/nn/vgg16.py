"""VGG16 without its head: what goes in, what comes out, how it is built.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", ICLR 2015, configuration D.
"""

import numpy as np

NAME = "VGG16"
LAYER = "block5_pool"
INPUT_SIZE = (224, 224)  # height, width in pixels
FEATURE_SHAPE = (7, 7, 512)  # height, width, channels of the last pooling layer
IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)


def preprocess(pixels: np.ndarray) -> np.ndarray:
    """Turn RGB pixels into what VGG16 was trained on.

    The same arithmetic as ``keras.applications.vgg16.preprocess_input``, for
    threads and processes that have no need of Keras.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (..., 3)
        Red, green and blue, 0 to 255.

    Returns
    -------
    ndarray of float32, shape (..., 3)
        Blue, green and red, less the mean of ImageNet's pixels.
    """
    return pixels[..., ::-1].astype(np.float32) - IMAGENET_MEAN_BGR


def build():
    """Build the network with Keras, cut after its last pooling layer.

    Returns
    -------
    keras.Model
        Takes (b, 224, 224, 3), gives (b, 7, 7, 512). Its weights are of no
        use yet: `pyimagesearch.nn.weights.load_into` fills them.
    """
    import keras

    # A user's keras.json may say channels_first, which would change the
    # order of the features.
    keras.config.set_image_data_format("channels_last")
    return keras.applications.VGG16(include_top=False, weights=None, input_shape=(*INPUT_SIZE, 3))
