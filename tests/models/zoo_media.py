"""transformers' models that read images, sound or series, in sizes of a test."""

from __future__ import annotations

import torch
from torch import nn

import torchvision_cpu
from models.architectures import Architecture, Input
from models.zoo_text import IDS, MASK, VOCABULARY, pretrained

LAYERS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
TEXT = {**LAYERS, "vocab_size": VOCABULARY, "max_position_embeddings": 64}
PATCHES = {**LAYERS, "image_size": 32, "patch_size": 8}


def image(size: int = 32) -> tuple[Input, ...]:
    """One square image per row of the batch."""
    return (Input("pixel_values", ("batch", 3, size, size)),)


SOUND = (Input("input_values", ("batch", "samples")),)


class WhisperEncoder(nn.Module):
    """The encoder alone: log-mel frames to states."""

    def __init__(self, model):
        super().__init__()
        self.encoder = model.model.encoder

    def forward(self, input_features):
        return self.encoder(input_features).last_hidden_state


class WhisperStep(nn.Module):
    """One step of the decoder with its cache: logits of the next token, new keys and
    values of each layer."""

    def __init__(self, model):
        super().__init__()
        self.decoder, self.proj_out = model.model.decoder, model.proj_out

    def forward(self, input_ids, encoder_states, keys, values):
        from transformers import DynamicCache, EncoderDecoderCache

        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(keys.shape[0]):
            cache.self_attention_cache.update(keys[layer], values[layer], layer)
        past = keys.shape[3]
        states = self.decoder(
            input_ids=input_ids,
            encoder_hidden_states=encoder_states,
            past_key_values=cache,
            use_cache=True,
            position_ids=torch.full_like(input_ids, past),
        ).last_hidden_state
        layers = cache.self_attention_cache.layers
        return (
            self.proj_out(states),
            torch.stack([layer.keys for layer in layers]),
            torch.stack([layer.values for layer in layers]),
        )


def _whisper(part: type) -> nn.Module:
    build = pretrained(
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        vocab_size=VOCABULARY,
        d_model=32,
        num_mel_bins=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=20,
        max_target_positions=20,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        decoder_start_token_id=1,
        begin_suppress_tokens=None,
    )
    return lambda: part(build())


def _detr() -> nn.Module:
    torchvision_cpu.repair()
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        out_features=["stage2"],
    )
    return DetrForObjectDetection(
        DetrConfig(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=backbone,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            num_queries=6,
            num_labels=5,
        )
    )


def _depth_anything() -> nn.Module:
    torchvision_cpu.repair()
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
    )

    backbone = Dinov2Config(
        **{**LAYERS, "num_hidden_layers": 4},
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    return DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=32,
            patch_size=14,
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            head_hidden_size=8,
        )
    )


def _two_towers(name: str) -> nn.Module:
    """CLIP, SigLIP or BLIP: an image tower beside a text tower."""

    def build():
        torchvision_cpu.repair()
        import transformers

        text = dict(TEXT, eos_token_id=2, bos_token_id=1, pad_token_id=0)
        if name == "Blip":
            text |= {"encoder_hidden_size": 32, "is_decoder": False}
        config = getattr(transformers, f"{name}Config")(
            text_config=text, vision_config=dict(PATCHES), projection_dim=16
        )
        model = getattr(transformers, f"{name}Model")(config)
        return model

    return build


def _sam() -> nn.Module:
    torchvision_cpu.repair()
    from transformers import SamConfig, SamModel

    return SamModel(
        SamConfig(
            vision_config={
                "hidden_size": 32,
                "output_channels": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "image_size": 64,
                "patch_size": 16,
                "mlp_dim": 64,
                "window_size": 3,
                "global_attn_indexes": [1],
                "num_pos_feats": 8,
            },
            prompt_encoder_config={
                "hidden_size": 16,
                "image_size": 64,
                "patch_size": 16,
                "mask_input_channels": 4,
            },
            mask_decoder_config={
                "hidden_size": 16,
                "mlp_dim": 32,
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "iou_head_hidden_dim": 16,
            },
        )
    )


class SpeechT5Decoder(nn.Module):
    """The decoder's layers and the postnet; the prenet before them is random."""

    def __init__(self, model):
        super().__init__()
        self.decoder = model.speecht5.decoder.wrapped_decoder
        self.postnet = model.speech_decoder_postnet

    def forward(self, states, encoder_states):
        states = self.decoder(
            hidden_states=states,
            encoder_hidden_states=encoder_states,
            use_cache=False,
        ).last_hidden_state
        return self.postnet(states)


def _speecht5(part):
    build = pretrained(
        "SpeechT5ForTextToSpeech",
        "SpeechT5Config",
        vocab_size=VOCABULARY,
        hidden_size=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_mel_bins=16,
        speech_decoder_prenet_units=16,
        speech_decoder_prenet_dropout=0.0,
        speech_decoder_postnet_units=16,
        speaker_embedding_dim=8,
        encoder_max_relative_position=8,
    )
    return lambda: part(build())


SPEECH = {
    **LAYERS,
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 4, 2),
    "conv_kernel": (10, 8, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
}

TABLE = (
    Architecture(
        "vit",
        pretrained("ViTForImageClassification", "ViTConfig", **PATCHES),
        image(),
        fast=True,
    ),
    Architecture(
        "deit",
        pretrained("DeiTForImageClassification", "DeiTConfig", **PATCHES),
        image(),
    ),
    Architecture(
        "beit",
        pretrained(
            "BeitForImageClassification",
            "BeitConfig",
            use_relative_position_bias=True,
            **PATCHES,
        ),
        image(),
    ),
    Architecture(
        "swin",
        pretrained(
            "SwinForImageClassification",
            "SwinConfig",
            image_size=32,
            patch_size=4,
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=4,
        ),
        image(),
    ),
    Architecture(
        "convnext",
        pretrained(
            "ConvNextForImageClassification",
            "ConvNextConfig",
            hidden_sizes=[8, 16, 24, 32],
            depths=[1, 1, 2, 1],
        ),
        image(64),
    ),
    Architecture(
        "dinov2",
        pretrained(
            "Dinov2Model", "Dinov2Config", image_size=28, patch_size=14, **LAYERS
        ),
        image(28),
    ),
    Architecture(
        "segformer",
        pretrained(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 8, 16, 16],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            num_labels=4,
        ),
        image(64),
    ),
    Architecture("detr", _detr, image(64)),
    Architecture(
        "yolos",
        pretrained(
            "YolosForObjectDetection",
            "YolosConfig",
            num_detection_tokens=5,
            num_labels=4,
            **{**PATCHES, "image_size": [32, 32]},
        ),
        image(),
    ),
    Architecture("clip", _two_towers("CLIP"), (IDS, *image(), MASK), fast=True),
    Architecture("siglip", _two_towers("Siglip"), (IDS, *image(), MASK)),
    Architecture("blip", _two_towers("Blip"), (IDS, *image(), MASK)),
    Architecture(
        "whisper_encoder",
        _whisper(WhisperEncoder),
        (Input("input_features", ("batch", 16, 40)),),
    ),
    Architecture(
        "whisper_step",
        _whisper(WhisperStep),
        (
            Input("input_ids", ("batch", 1), tokens=VOCABULARY),
            Input("encoder_states", ("batch", 20, 32)),
            Input("keys", (2, "batch", 4, "seq", 8)),
            Input("values", (2, "batch", 4, "seq", 8)),
        ),
    ),
    Architecture(
        "wav2vec2",
        pretrained("Wav2Vec2ForCTC", "Wav2Vec2Config", **SPEECH),
        SOUND,
    ),
    Architecture("hubert", pretrained("HubertModel", "HubertConfig", **SPEECH), SOUND),
    Architecture(
        "ast",
        pretrained(
            "ASTForAudioClassification",
            "ASTConfig",
            max_length=32,
            num_mel_bins=16,
            patch_size=8,
            time_stride=8,
            frequency_stride=8,
            **LAYERS,
        ),
        (Input("input_values", ("batch", 32, 16)),),
    ),
    Architecture(
        "speecht5_encoder",
        _speecht5(lambda model: model.speecht5.encoder),
        (Input("input_values", ("batch", "seq"), tokens=VOCABULARY), MASK),
    ),
    Architecture(
        "speecht5_decoder",
        _speecht5(SpeechT5Decoder),
        (
            Input("states", ("batch", "target", 32)),
            Input("encoder_states", ("batch", "seq", 32)),
        ),
    ),
    Architecture(
        "speecht5_hifigan",
        pretrained(
            "SpeechT5HifiGan",
            "SpeechT5HifiGanConfig",
            model_in_dim=16,
            upsample_initial_channel=16,
            upsample_rates=[4, 4],
            upsample_kernel_sizes=[8, 8],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]],
        ),
        (Input("spectrogram", ("batch", "seq", 16)),),
    ),
    Architecture(
        "mobilevit",
        pretrained(
            "MobileViTForImageClassification",
            "MobileViTConfig",
            image_size=64,
            hidden_sizes=[16, 24, 32],
            neck_hidden_sizes=[4, 8, 8, 12, 12, 16, 32],
            num_attention_heads=2,
        ),
        image(64),
    ),
    Architecture(
        "sam",
        _sam,
        (
            Input("pixel_values", ("batch", 3, 64, 64)),
            Input("input_points", ("batch", 1, 2, 2)),
        ),
    ),
    Architecture("depth_anything", _depth_anything, image(28)),
    Architecture(
        "dpt",
        pretrained(
            "DPTForDepthEstimation",
            "DPTConfig",
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            is_hybrid=False,
            **{**PATCHES, "num_hidden_layers": 4},
        ),
        image(),
    ),
    Architecture(
        "time_series_transformer",
        pretrained(
            "TimeSeriesTransformerModel",
            "TimeSeriesTransformerConfig",
            prediction_length=4,
            context_length=8,
            lags_sequence=[1, 2],
            num_time_features=2,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
        ),
        (
            Input("past_values", ("batch", 10)),
            Input("past_time_features", ("batch", 10, 2)),
            Input("past_observed_mask", ("batch", 10), kind="ones"),
            Input("future_values", ("batch", 4)),
            Input("future_time_features", ("batch", 4, 2)),
        ),
    ),
)
