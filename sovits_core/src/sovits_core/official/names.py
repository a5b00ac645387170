"""Official key names to ours and back: filling a network from official tensors, and naming its tensors officially."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sovits_core.errors import CheckpointMismatch, SovitsError
from sovits_core.formats.checkpoints import compare_shapes
from sovits_core.models import Discriminator, SpeakerEncoder, Synthesizer, TextToSemantic
from sovits_core.models.normed import is_folded
from sovits_core.reference.bigvgan import BigVgan
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.reference.vocoder import Vocoder

Rules = tuple[tuple[str, str], ...]

# Each rule is a pattern over our key and the official spelling of what it matches; all that match apply, in order.
WEIGHT_NORM: Rules = (
    (r"parametrizations\.weight\.original0$", "weight_g"),
    (r"parametrizations\.weight\.original1$", "weight_v"),
)

S1: Rules = (
    (r"^bert_projection\.", "bert_proj."),
    (r"^text_embedding\.", "ar_text_embedding.word_embeddings."),
    (r"^text_position\.scale$", "ar_text_position.alpha"),
    (r"^audio_embedding\.", "ar_audio_embedding.word_embeddings."),
    (r"^audio_position\.scale$", "ar_audio_position.alpha"),
    (r"^predict\.", "ar_predict_layer."),
    (r"\.attention\.qkv\.(weight|bias)$", r".self_attn.in_proj_\1"),
    (r"\.attention\.out\.", ".self_attn.out_proj."),
    (r"\.feed_forward\.up\.", ".linear1."),
    (r"\.feed_forward\.down\.", ".linear2."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.feed_forward_norm\.", ".norm2."),
    (r"^layers\.", "h.layers."),
    (r"^", "model."),
)

WAVENET: Rules = (
    (r"\.wavenet\.condition\.", ".enc.cond_layer."),
    (r"\.wavenet\.gates\.", ".enc.in_layers."),
    (r"\.wavenet\.splits\.", ".enc.res_skip_layers."),
)

ENCODER: Rules = (
    (r"\.ssl_encoder\.", ".encoder_ssl."),
    (r"\.text_encoder\.", ".encoder_text."),
    (r"\.mixed_encoder\.", ".encoder2."),
    (r"\.layers\.(\d+)\.attention\.([qkvo])\.", r".attn_layers.\1.conv_\2."),
    (r"\.layers\.(\d+)\.attention\.relative_keys$", r".attn_layers.\1.emb_rel_k"),
    (r"\.layers\.(\d+)\.attention\.relative_values$", r".attn_layers.\1.emb_rel_v"),
    (r"\.layers\.(\d+)\.attention_norm\.weight$", r".norm_layers_1.\1.gamma"),
    (r"\.layers\.(\d+)\.attention_norm\.bias$", r".norm_layers_1.\1.beta"),
    (r"\.layers\.(\d+)\.feed_forward\.up\.", r".ffn_layers.\1.conv_1."),
    (r"\.layers\.(\d+)\.feed_forward\.down\.", r".ffn_layers.\1.conv_2."),
    (r"\.layers\.(\d+)\.feed_forward_norm\.weight$", r".norm_layers_2.\1.gamma"),
    (r"\.layers\.(\d+)\.feed_forward_norm\.bias$", r".norm_layers_2.\1.beta"),
)

CONDITIONING: Rules = (
    *ENCODER,
    (r"^ssl_projection\.", "ssl_proj."),
    (r"^quantizer\.vectors$", "quantizer.vq.layers.0._codebook.embed"),
    (r"^quantizer\.ready$", "quantizer.vq.layers.0._codebook.inited"),
    (r"^quantizer\.usage$", "quantizer.vq.layers.0._codebook.cluster_size"),
    (r"^quantizer\.sums$", "quantizer.vq.layers.0._codebook.embed_avg"),
    (r"^timbre_encoder\.frames\.0\.", "ref_enc.spectral.0.fc."),
    (r"^timbre_encoder\.frames\.2\.", "ref_enc.spectral.3.fc."),  # upstream counts a dropout between them
    (r"^timbre_encoder\.temporal\.(\d+)\.convolution\.", r"ref_enc.temporal.\1.conv1.conv."),
    (r"^timbre_encoder\.attention\.([qkv])\.", r"ref_enc.slf_attn.w_\1s."),
    (r"^timbre_encoder\.attention\.out\.", "ref_enc.slf_attn.fc."),
    (r"^timbre_encoder\.projection\.", "ref_enc.fc.fc."),
    (r"^speaker_vector\.projection\.", "sv_emb."),
    (r"^speaker_vector\.activation\.", "prelu."),
    (r"^timbre_for_content\.projection\.", "ge_to512."),
    (r"^content_encoder\.cross_attention\.attention\.([qkvo])\.", r"content_encoder.mrte.cross_attention.conv_\1."),
    (r"^content_encoder\.cross_attention\.from_ssl\.", "content_encoder.mrte.c_pre."),
    (r"^content_encoder\.cross_attention\.from_text\.", "content_encoder.mrte.text_pre."),
    (r"^content_encoder\.cross_attention\.out\.", "content_encoder.mrte.c_post."),
    (r"^content_encoder\.ssl_projection\.", "content_encoder.ssl_proj."),
    (r"^content_encoder\.projection\.", "content_encoder.proj."),
    (r"^content_encoder\.", "enc_p."),
)

WAVEFORM: Rules = (
    (r"^waveform_generator\.input\.", "dec.conv_pre."),
    (r"^waveform_generator\.condition\.", "dec.cond."),
    (r"^waveform_generator\.output\.", "dec.conv_post."),
    (r"^waveform_generator\.stages\.(\d+)\.upsample\.", r"dec.ups.\1."),
    (r"^(waveform_generator\.stages\.\d+\.blocks\.\d+)\.dilated\.", r"\1.convs1."),
    (r"^(waveform_generator\.stages\.\d+\.blocks\.\d+)\.plain\.", r"\1.convs2."),
)

S2_GENERATOR: Rules = (
    *CONDITIONING,
    *WAVENET,
    (r"^posterior_encoder\.input\.", "posterior_encoder.pre."),
    (r"^posterior_encoder\.projection\.", "posterior_encoder.proj."),
    (r"^posterior_encoder\.", "enc_q."),
    (r"^flow\.couplings\.(\d+)\.input\.", r"flow.couplings.\1.pre."),
    (r"^flow\.couplings\.(\d+)\.shift\.", r"flow.couplings.\1.post."),
    *WAVEFORM,
    *WEIGHT_NORM,
)

VELOCITY: Rules = (
    (r"^velocity\.time_embedding\.layers\.", "velocity.time_embed.time_mlp."),
    (r"^velocity\.step_embedding\.layers\.", "velocity.d_embed.time_mlp."),
    (r"^velocity\.feature_encoder\.blocks\.", "velocity.text_embed.text_blocks."),
    (r"\.depthwise\.", ".dwconv."),
    (r"\.response_norm\.scale$", ".grn.gamma"),
    (r"\.response_norm\.shift$", ".grn.beta"),
    (r"(\.text_blocks\.\d+)\.up\.", r"\1.pwconv1."),
    (r"(\.text_blocks\.\d+)\.down\.", r"\1.pwconv2."),
    (r"^velocity\.input\.projection\.", "velocity.input_embed.proj."),
    (r"^velocity\.input\.around\.0\.", "velocity.input_embed.conv_pos_embed.conv1d.0."),
    (r"^velocity\.input\.around\.1\.", "velocity.input_embed.conv_pos_embed.conv1d.2."),  # an activation is counted
    (r"^velocity\.rotary\.inverse_periods$", "velocity.rotary_embed.inv_freq"),
    (r"^velocity\.layers\.", "velocity.transformer_blocks."),
    (r"(\.transformer_blocks\.\d+)\.modulation\.", r"\1.attn_norm.linear."),
    (r"(\.transformer_blocks\.\d+)\.attention\.([qkv])\.", r"\1.attn.to_\2."),
    (r"(\.transformer_blocks\.\d+)\.attention\.out\.", r"\1.attn.to_out.0."),
    (r"(\.transformer_blocks\.\d+)\.up\.", r"\1.ff.ff.0.0."),
    (r"(\.transformer_blocks\.\d+)\.down\.", r"\1.ff.ff.2."),
    (r"^velocity\.output_modulation\.", "velocity.norm_out.linear."),
    (r"^velocity\.output\.", "velocity.proj_out."),
    (r"^velocity\.", "cfm.estimator."),
)

S2_FLOW_MATCHING: Rules = (
    *VELOCITY,  # first: its layers are not the encoders'
    *CONDITIONING,
    *WAVENET,
    (r"^bridge\.", "bridge.0."),
    (r"^feature_wavenet\.input\.", "feature_wavenet.pre."),
    (r"^feature_wavenet\.projection\.", "feature_wavenet.proj."),
    (r"^feature_wavenet\.", "wns1."),
    (r"^unused_mel\.", "linear_mel."),
    *WEIGHT_NORM,
)

BIGVGAN: Rules = (
    (r"^input\.", "conv_pre."),
    (r"^output\.", "conv_post."),
    (r"^activation\.", "activation_post."),
    (r"\.nonlinearity\.log_frequency$", ".act.alpha"),
    (r"\.nonlinearity\.log_magnitude$", ".act.beta"),
    (r"\.up_filter$", ".upsample.filter"),
    (r"\.down_filter$", ".downsample.lowpass.filter"),
    (r"^stages\.(\d+)\.upsample\.", r"ups.\1.0."),
    (r"\.dilated\.", ".convs1."),
    (r"\.plain\.", ".convs2."),
    *WEIGHT_NORM,
)

SPEAKER: Rules = (
    (r"^stem\.", "conv1."),
    (r"^stem_norm\.", "bn1."),
    (r"^downsample\.", "layer3_ds."),
    (r"^fusion\.", "fuse34."),
    (r"^embedding\.", "seg_1."),
    (r"\.narrow\.", ".conv1."),
    (r"\.narrow_norm\.", ".bn1."),
    (r"\.branches\.", ".convs."),
    (r"\.branch_norms\.", ".bns."),
    (r"\.fusions\.", ".fuse_models."),
    (r"\.share\.", ".local_att."),
    (r"\.widen\.", ".conv3."),
    (r"\.widen_norm\.", ".bn3."),
)

S2_DISCRIMINATOR: Rules = (
    (r"^judges\.", "discriminators."),
    (r"\.layers\.", ".convs."),
    (r"\.output\.", ".conv_post."),
    *WEIGHT_NORM,
)


def official_keys(module: nn.Module) -> dict[str, str]:
    """Our key to the official one, for all of a module's state.

    Raises:
        SovitsError: the module is none that official files hold.
    """
    return {key: _official_key(module, key) for key in module.state_dict()}


def load_official(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fill a module from tensors under their official names.

    Raises:
        CheckpointMismatch: a key is missing or unknown, or a shape differs; every one is named.
    """
    if is_folded(module) and any(key.endswith("weight_g") for key in weights):
        raise CheckpointMismatch(
            "the checkpoint", ["its weights are split (weight_g, weight_v), the network's are folded"]
        )
    ours = module.state_dict()
    names = official_keys(module)
    expected = {names[key]: tuple(_official_shape(key, tensor.shape)) for key, tensor in ours.items()}
    compare_shapes("the checkpoint", expected, {key: tuple(tensor.shape) for key, tensor in weights.items()})
    module.load_state_dict({key: weights[names[key]].reshape(tensor.shape) for key, tensor in ours.items()})


def to_official(module: nn.Module) -> dict[str, Tensor]:
    """A module's weights under their official names and in their official shapes."""
    names = official_keys(module)
    return {
        names[key]: tensor.detach().reshape(_official_shape(key, tensor.shape))
        for key, tensor in module.state_dict().items()
    }


def _official_key(module: nn.Module, key: str) -> str:
    match module:
        case TextToSemantic():
            official = _rename(key, S1)
        case Discriminator():
            official = _rename(key, S2_DISCRIMINATOR)
        case Synthesizer():
            official = _number(_rename(key, S2_GENERATOR), len(module.config.block_kernels))
        case MelSynthesizer():
            official = _rename(key, S2_FLOW_MATCHING)
        case Vocoder():
            official = _number(_rename(key, WAVEFORM), len(module.config.block_kernels)).removeprefix("dec.")
        case BigVgan():
            official = _number_bigvgan(_rename(key, BIGVGAN), len(module.config.block_kernels))
        case SpeakerEncoder():
            # upstream counts stages from one
            official = re.sub(r"^stages\.(\d+)", lambda match: f"layer{int(match[1]) + 1}", _rename(key, SPEAKER))
        case _:
            raise SovitsError(f"no official names are known for {type(module).__name__}")
    return official


def _rename(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _number(key: str, blocks: int) -> str:
    """Upstream numbers flow steps by twos (a flip stands between them) and residual blocks through all stages."""
    if match := re.match(r"flow\.couplings\.(\d+)\.", key):
        return f"flow.flows.{2 * int(match[1])}.{key[match.end() :]}"
    if match := re.match(r"waveform_generator\.stages\.(\d+)\.blocks\.(\d+)\.", key):
        return f"dec.resblocks.{blocks * int(match[1]) + int(match[2])}.{key[match.end() :]}"
    return key


def _number_bigvgan(key: str, blocks: int) -> str:
    """NVIDIA counts a block's nonlinearities in the order they run in: before a dilated one, before a plain one."""
    if match := re.match(r"stages\.(\d+)\.blocks\.(\d+)\.", key):
        key = f"resblocks.{blocks * int(match[1]) + int(match[2])}.{key[match.end() :]}"
    if match := re.search(r"\.before_(dilated|plain)\.(\d+)\.", key):
        place = 2 * int(match[2]) + (match[1] == "plain")
        return f"{key[: match.start()]}.activations.{place}.{key[match.end() :]}"
    return key


def _official_shape(key: str, shape: torch.Size) -> tuple[int, ...]:
    """Upstream keeps leading axes of length one on the relative embeddings and on the response norm's parameters."""
    if key.endswith((".relative_keys", ".relative_values")):
        return (1, *shape)
    if key.endswith((".response_norm.scale", ".response_norm.shift")):
        return (1, 1, *shape)
    return tuple(shape)
