"""What is done to an image's pixels before a network sees them.

The arithmetic of ``keras.applications.imagenet_utils.preprocess_input``, for
threads and workers that have no need of Keras. Its names are Keras's: they say
which library the networks were first trained with.
"""

from collections.abc import Callable

import numpy as np

from pyimagesearch.nn.conversion import Conversion
from pyimagesearch.nn.description import Description

# Mean and standard deviation of ImageNet's pixels.
MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)  # of 0 to 255
MEAN_RGB = np.array([0.485, 0.456, 0.406], np.float32)  # of 0 to 1
STD_RGB = np.array([0.229, 0.224, 0.225], np.float32)


def caffe(pixels: np.ndarray) -> np.ndarray:
    """Turn red, green, blue into blue, green, red less ImageNet's mean."""
    return pixels[..., ::-1].astype(np.float32) - MEAN_BGR


def tf(pixels: np.ndarray) -> np.ndarray:
    """Scale the pixels to [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def torch(pixels: np.ndarray) -> np.ndarray:
    """Scale each channel to ImageNet's mean 0 and standard deviation 1."""
    return (pixels.astype(np.float32) / np.float32(255) - MEAN_RGB) / STD_RGB


def none(pixels: np.ndarray) -> np.ndarray:
    """Leave the pixels as they are: the network scales them itself."""
    return pixels.astype(np.float32)


# Each takes uint8 (..., 3), red, green and blue, and gives float32 of that shape.
PREPROCESSINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    function.__name__: function for function in (caffe, tf, torch, none)
}


def preprocessing_of(description: Description) -> Callable[[np.ndarray], np.ndarray]:
    """Return what prepares an image, as it was loaded, for the network that is described."""
    if isinstance(description.preprocessing, Conversion):
        return description.preprocessing.to_size(description.size)
    return PREPROCESSINGS[description.preprocessing]


def as_convolution(name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a preprocessing as a convolution of single pixels, for a network to hold.

    Parameters
    ----------
    name : str
        One of `PREPROCESSINGS`.

    Returns
    -------
    tuple of ndarray of float32, shapes (1, 1, 3, 3) and (3,), or None
        Its kernel, (height, width, n_in, n_out), and its bias; None where the
        pixels stay as they are.
    """
    scale, shift, order = {
        "caffe": (1.0, -MEAN_BGR, [2, 1, 0]),
        "tf": (1 / 127.5, -np.ones(3), [0, 1, 2]),
        "torch": (1 / (255 * STD_RGB.astype(float)), -MEAN_RGB / STD_RGB.astype(float), [0, 1, 2]),
        "none": (None, None, None),
    }[name]
    if order is None:
        return None
    kernel = np.eye(3)[order].T * scale  # (n_in, n_out)
    return kernel[np.newaxis, np.newaxis].astype(np.float32), np.asarray(shift, np.float32)
