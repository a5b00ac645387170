"""Official key names to ours and back: filling a network from official tensors, and naming its tensors officially."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sovits_core.checkpoints import compare_shapes
from sovits_core.errors import CheckpointMismatch, SovitsError
from sovits_core.models import Discriminator, Synthesizer, TextToSemantic
from sovits_core.models.normed import is_folded

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

S2_GENERATOR: Rules = (
    *ENCODER,
    *WAVENET,
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
    (r"^posterior_encoder\.input\.", "posterior_encoder.pre."),
    (r"^posterior_encoder\.projection\.", "posterior_encoder.proj."),
    (r"^posterior_encoder\.", "enc_q."),
    (r"^flow\.couplings\.(\d+)\.input\.", r"flow.couplings.\1.pre."),
    (r"^flow\.couplings\.(\d+)\.shift\.", r"flow.couplings.\1.post."),
    (r"^waveform_generator\.input\.", "dec.conv_pre."),
    (r"^waveform_generator\.condition\.", "dec.cond."),
    (r"^waveform_generator\.output\.", "dec.conv_post."),
    (r"^waveform_generator\.stages\.(\d+)\.upsample\.", r"dec.ups.\1."),
    (r"^(waveform_generator\.stages\.\d+\.blocks\.\d+)\.dilated\.", r"\1.convs1."),
    (r"^(waveform_generator\.stages\.\d+\.blocks\.\d+)\.plain\.", r"\1.convs2."),
    *WEIGHT_NORM,
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
        SovitsError: the module is not one of S1, S2 and the discriminator.
    """
    if isinstance(module, TextToSemantic):
        return {key: _rename(key, S1) for key in module.state_dict()}
    if isinstance(module, Discriminator):
        return {key: _rename(key, S2_DISCRIMINATOR) for key in module.state_dict()}
    if isinstance(module, Synthesizer):
        blocks = len(module.config.block_kernels)
        return {key: _number(_rename(key, S2_GENERATOR), blocks) for key in module.state_dict()}
    raise SovitsError(f"no official names are known for {type(module).__name__}")


def load_official(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fill a module from tensors under their official names.

    Raises:
        CheckpointMismatch: a key is missing or unknown, or a shape differs; every one is named.
    """
    if not is_folded(module) or any(key.endswith("weight_g") for key in weights):
        _check_unfolded(module)
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


def _official_shape(key: str, shape: torch.Size) -> tuple[int, ...]:
    """Upstream keeps a leading axis on the relative embeddings."""
    return (1, *shape) if key.endswith((".relative_keys", ".relative_values")) else tuple(shape)


def _check_unfolded(module: nn.Module) -> None:
    if isinstance(module, Synthesizer | Discriminator) and is_folded(module):
        raise CheckpointMismatch(
            "the checkpoint", ["its weights are split (weight_g, weight_v), the network's are folded"]
        )
