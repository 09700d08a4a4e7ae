"""Small presets of KerasHub with random weights, one of each family, as it saves them."""

from pathlib import Path

SIDE = 32  # pixels
CONVERTER = {
    "image_size": (SIDE, SIDE),
    "scale": (1 / 58.4, 1 / 57.1, 1 / 57.4),
    "offset": (-2.1, -2.0, -1.8),
    "crop_to_aspect_ratio": True,
    "interpolation": "bicubic",
    "antialias": True,
}
VIT = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}
TEXT = {"vocabulary_size": 20, "max_sequence_length": 5, "embedding_dim": 8, "hidden_dim": 8}
TEXT |= {"num_layers": 1, "num_heads": 2, "intermediate_dim": 8}
IMAGE = {"image_shape": (SIDE, SIDE, 3)}
ANY_IMAGE = {"image_shape": (None, None, 3)}


def dinov2(hub, **options):
    """Return a DINOv2, whose positions were trained at another size."""
    positions = {"position_embedding_shape": (48, 48, 3), "patch_size": 8, "intermediate_dim": 16}
    return hub.models.DINOV2Backbone(**VIT | IMAGE | positions | options)


def dinov2_with_registers(hub):
    """Return a DINOv2 with 3 tokens that stand for nothing."""
    return dinov2(hub, num_register_tokens=3)


def dinov3(hub):
    """Return a DINOv3, with 2 registers."""
    options = {"patch_size": 8, "intermediate_dim": 16, "num_register_tokens": 2}
    return hub.models.DINOV3Backbone(**VIT | IMAGE | options)


def vit(hub, **options):
    """Return a ViT."""
    return hub.models.ViTBackbone(**VIT | IMAGE | {"patch_size": 8, "mlp_dim": 16} | options)


def deit(hub):
    """Return a DeiT, which has a token for distillation."""
    return hub.models.DeiTBackbone(**VIT | IMAGE | {"patch_size": 8, "intermediate_dim": 16})


def swin(hub):
    """Return a Swin Transformer of two stages."""
    options = {"embed_dim": 8, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4}
    return hub.models.SwinTransformerBackbone(**IMAGE | options)


def clip(hub):
    """Return a CLIP, with its tower for texts."""
    options = {"patch_size": 8, "intermediate_dim": 16}
    vision = hub.models.CLIPVisionEncoder(**VIT | IMAGE | options, name="clip_vision_encoder")
    text = hub.models.CLIPTextEncoder(**TEXT, name="clip_text_encoder")
    return hub.models.CLIPBackbone(vision, text, projection_dim=8)


def siglip(hub):
    """Return a SigLIP, with its tower for texts."""
    options = {"patch_size": 8, "intermediate_dim": 16}
    vision = hub.models.SigLIPVisionEncoder(**VIT | IMAGE | options, name="siglip_vision")
    text = hub.models.SigLIPTextEncoder(**TEXT, projection_dim=8, name="siglip_text")
    return hub.models.SigLIPBackbone(vision, text)


def pali_gemma(hub):
    """Return a PaliGemma, whose network for images is a part of that for texts."""
    text = {"vocabulary_size": 20, "num_layers": 1, "num_query_heads": 2, "head_dim": 4}
    text |= {"num_key_value_heads": 1, "hidden_dim": 8, "intermediate_dim": 8}
    vit = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    vit = {f"vit_{name}": value for name, value in vit.items()}
    return hub.models.PaliGemmaBackbone(image_size=SIDE, **text, **vit)


def sam(hub):
    """Return a SAM, which takes points and boxes besides."""
    decoder = {"num_layers": 1, "hidden_size": 8, "intermediate_dim": 8, "num_heads": 2}
    decoder |= {"embedding_dim": 8, "num_multimask_outputs": 3}
    decoder |= {"iou_head_depth": 2, "iou_head_hidden_dim": 8}
    sizes = {"image_embedding_size": (4, 4), "input_image_size": (SIDE, SIDE)}
    return hub.models.SAMBackbone(
        image_encoder=hub.models.ViTDetBackbone(
            hidden_size=8,
            num_layers=1,
            intermediate_dim=8,
            num_heads=2,
            global_attention_layer_indices=[0],
            patch_size=8,
            num_output_channels=8,
            **IMAGE,
        ),
        prompt_encoder=hub.layers.SAMPromptEncoder(hidden_size=8, mask_in_channels=8, **sizes),
        mask_decoder=hub.layers.SAMMaskDecoder(**decoder),
    )


def mit(hub):
    """Return a MixTransformer of two stages, with tokens within each and pixels after it."""
    return hub.models.MiTBackbone(
        num_layers=2,
        hidden_dims=[8, 8],
        layerwise_depths=[1, 1],
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        max_drop_path_rate=0.0,
        **IMAGE,
    )


def hgnetv2(hub):
    """Return an HGNetV2 of two stages, which gives what each of them gives."""
    return hub.models.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=8,
        hidden_sizes=[8, 8],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 8, 1, 1, 3), (8, 8, 16, 1, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        **ANY_IMAGE,
    )


def bert(hub):
    """Return a BERT, which is for texts."""
    options = {"vocabulary_size": 20, "max_sequence_length": 5, "hidden_dim": 8}
    return hub.models.BertBackbone(**options, num_layers=1, num_heads=2, intermediate_dim=8)


def video_prism(hub):
    """Return a VideoPrism, which takes several images at once."""
    options = {"num_frames": 2, "patch_size": 8, "hidden_dim": 8, "intermediate_dim": 8}
    layers = {"num_spatial_layers": 1, "num_temporal_layers": 1, "num_auxiliary_layers": 0}
    return hub.models.VideoPrismBackbone(**options, **layers, num_heads=2, **IMAGE)


def mobilenet(hub):
    """Return a MobileNetV3 of two blocks."""
    return hub.models.MobileNetBackbone(
        stackwise_expansion=[[40], [64]],
        stackwise_num_blocks=[1, 1],
        stackwise_num_filters=[[16], [24]],
        stackwise_kernel_size=[[3], [5]],
        stackwise_num_strides=[[2], [2]],
        stackwise_se_ratio=[[None], [0.25]],
        stackwise_activation=[["relu"], ["hard_swish"]],
        stackwise_padding=[[1], [2]],
        output_num_filters=32,
        input_activation="hard_swish",
        output_activation="hard_swish",
        input_num_filters=8,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=None,
        last_layer_filter=32,
        **ANY_IMAGE,
    )


def efficientnet(hub):
    """Return an EfficientNet of one stack."""
    return hub.models.EfficientNetBackbone(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3],
        stackwise_num_repeats=[1],
        stackwise_input_filters=[32],
        stackwise_output_filters=[16],
        stackwise_expansion_ratios=[1],
        stackwise_strides=[1],
        stackwise_squeeze_and_excite_ratios=[0.25],
        stackwise_block_types=["v1"],
        **ANY_IMAGE,
    )


def resnet(hub):
    """Return a ResNet of two stages."""
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        **ANY_IMAGE,
    )


def densenet(hub):
    """Return a DenseNet of two blocks."""
    return hub.models.DenseNetBackbone(
        stackwise_num_repeats=[1, 1], compression_ratio=0.5, growth_rate=4, **ANY_IMAGE
    )


FAMILIES = {
    made.__name__: made
    for made in (
        dinov2,
        dinov2_with_registers,
        dinov3,
        vit,
        deit,
        swin,
        clip,
        siglip,
        pali_gemma,
        sam,
        mit,
        hgnetv2,
        mobilenet,
        efficientnet,
        resnet,
        densenet,
    )
}


NOT_FOR_IMAGES = {made.__name__: made for made in (bert, video_prism)}


def save_preset(folder: Path, family: str, **converter) -> Path:
    """Save one with random weights, and how it prepares images."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(7)
    backbone = (FAMILIES | NOT_FOR_IMAGES)[family](keras_hub)
    for variable in backbone.weights:  # what begins as zeros or ones would hide a mix-up
        if "float" in variable.dtype:
            noise = keras.random.uniform(variable.shape, -0.1, 0.1)
            variable.assign(variable + noise if "variance" not in variable.name else 1 + noise)
    backbone.save_to_preset(str(folder))
    layers = keras_hub.layers
    own = [
        cls for cls in vars(layers).values() if getattr(cls, "backbone_cls", 0) is type(backbone)
    ]
    (own or [layers.ImageConverter])[0](**CONVERTER | converter).save_to_preset(str(folder))
    return folder
