"""Convert a whole model for phones, and describe it as their tools expect.

Run as a program of its own: python convert.py MODEL.keras MODEL.tflite

The description is that of TensorFlow Lite's metadata (metadata_schema.fbs, "M001"): what the
pixels are, and that the file ``labels.txt``, in an archive behind the model, names the outputs.
"""

import sys
from pathlib import Path

METADATA = b"TFLITE_METADATA"
# Of metadata_schema.fbs: the values of its enums and unions.
IMAGE_PROPERTIES, RGB, NORMALIZATION_OPTIONS, TENSOR_AXIS_LABELS = 2, 1, 1, 2


def convert(whole: str) -> bytes:
    """Return a model for phones, in single precision."""
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(whole)
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def described(phone: bytes) -> bytes:
    """Return a model for phones with its metadata in it."""
    import flatbuffers
    import numpy as np
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(phone))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(phone) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def metadata() -> bytes:
    """Return the description of the input and the output."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)

    def table(**fields: tuple) -> int:
        """Write a table, of which each field is ``name=(number, kind, value)``."""
        builder.StartObject(max(number for number, *_ in fields.values()) + 1)
        for number, kind, value in fields.values():
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(number, value, 0)
            else:
                builder.PrependUint8Slot(number, value, 0)
        return builder.EndObject()

    def tables(*offsets: int) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    def numbers(*values: float) -> int:
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependFloat32(value)
        return builder.EndVector()

    def text(value: str) -> int:
        return builder.CreateString(value)

    # The pixels are taken as they are: (pixel - 0) / 1.
    mean, deviation = numbers(0.0), numbers(1.0)
    unscaled = table(mean=(0, "offset", mean), std=(1, "offset", deviation))
    unit = table(options_type=(0, "enum", NORMALIZATION_OPTIONS), options=(1, "offset", unscaled))
    colours = table(color_space=(0, "enum", RGB))
    content = table(
        content_properties_type=(0, "enum", IMAGE_PROPERTIES),
        content_properties=(1, "offset", colours),
    )
    image = table(
        name=(0, "offset", text("image")),
        description=(1, "offset", text("upright, red, green and blue from 0 to 255")),
        content=(3, "offset", content),
        process_units=(4, "offset", tables(unit)),
    )
    labels = table(name=(0, "offset", text("labels.txt")), type=(2, "enum", TENSOR_AXIS_LABELS))
    classes = table(
        name=(0, "offset", text("probability")),
        associated_files=(6, "offset", tables(labels)),
    )
    graph = table(
        input_tensor_metadata=(2, "offset", tables(image)),
        output_tensor_metadata=(3, "offset", tables(classes)),
    )
    model = table(
        name=(0, "offset", text("image classifier")),
        subgraph_metadata=(3, "offset", tables(graph)),
    )
    builder.Finish(model, b"M001")
    return bytes(builder.Output())


def main(whole: str, phone: str) -> None:
    """Write the model for phones."""
    Path(phone).write_bytes(described(convert(whole)))


if __name__ == "__main__":
    main(*sys.argv[1:])
