"""Use a whole model as anybody would who has its file and nothing of this project.

Run as a program of its own: python readback.py MODEL PIXELS.npy PROBABILITIES.npy
"""

import sys

import numpy as np


def by_keras(path: str, pixels: np.ndarray) -> np.ndarray:
    """Return the probabilities that Keras computes."""
    import keras

    return keras.saving.load_model(path).predict(pixels, batch_size=1, verbose=0)


def by_phone(path: str, pixels: np.ndarray) -> np.ndarray:
    """Return the probabilities that a phone computes, image by image."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # which tensorflow loads when it is asked for
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in pixels:
        interpreter.set_tensor(taken["index"], image[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(given["index"])[0])
    return np.array(answers)


def main(path: str, pixels: str, probabilities: str) -> None:
    """Read pixels and write probabilities, as files of NumPy."""
    compute = by_phone if path.endswith(".tflite") else by_keras
    np.save(probabilities, compute(path, np.load(pixels).astype(np.float32)))


if __name__ == "__main__":
    main(*sys.argv[1:])
