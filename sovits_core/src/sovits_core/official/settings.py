"""The settings that official files carry, as the official loaders need them to build the networks."""

from typing import Any

from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig
from sovits_core.official.versions import Version

S2_HEADS: dict[Version, str] = {"v1": "PK", "v2": "PK", "v2Pro": "05", "v2ProPlus": "06"}
"""The head of a voice's S2 file; v1 and v2 are told apart by their phoneme table."""


def s1_settings(config: TextToSemanticConfig) -> dict[str, Any]:
    """`config` of an S1 file."""
    return {
        "train": {
            "seed": 1234, "epochs": 20, "batch_size": 8, "save_every_n_epoch": 1, "precision": "16-mixed",
            "gradient_clip": 1.0,
        },
        "optimizer": {"lr": 0.01, "lr_init": 1e-5, "lr_end": 1e-4, "warmup_steps": 2000, "decay_steps": 40000},
        "data": {"max_eval_sample": 8, "max_sec": 54, "num_workers": 4, "pad_val": config.end_token},
        "model": {
            "vocab_size": config.vocabulary, "phoneme_vocab_size": config.phonemes, "embedding_dim": config.hidden,
            "hidden_dim": config.hidden, "head": config.heads, "linear_units": config.feed_forward,
            "n_layer": config.layers, "dropout": 0, "EOS": config.end_token, "random_bert": 0,
        },
        "inference": {"top_k": 15},
    }  # fmt: skip


def s2_settings(config: SynthesizerConfig, version: Version) -> dict[str, Any]:
    """`config` of an S2 file, with its three sections."""
    return {
        "train": {
            "log_interval": 100, "eval_interval": 500, "seed": 1234, "epochs": 100, "learning_rate": 1e-4,
            "betas": [0.8, 0.99], "eps": 1e-9, "batch_size": 32, "fp16_run": True, "lr_decay": 0.999875,
            "segment_size": config.segment_frames * config.hop, "init_lr_ratio": 1, "warmup_epochs": 0, "c_mel": 45,
            "c_kl": 1.0, "text_low_lr_rate": 0.4, "grad_ckpt": False,
        },
        "data": {
            "max_wav_value": 32768.0, "sampling_rate": config.sample_rate,
            "filter_length": 2 * (config.spectrogram_bins - 1), "hop_length": config.hop,
            "win_length": 2 * (config.spectrogram_bins - 1), "n_mel_channels": 128, "mel_fmin": 0.0, "mel_fmax": None,
            "add_blank": True, "n_speakers": 300, "cleaned_text": True,
        },
        "model": {
            "inter_channels": config.latent, "hidden_channels": config.hidden, "filter_channels": config.filter,
            "n_heads": config.heads, "n_layers": config.text_layers, "kernel_size": config.kernel,
            "p_dropout": config.dropout, "resblock": "1", "resblock_kernel_sizes": list(config.block_kernels),
            "resblock_dilation_sizes": [list(dilations) for dilations in config.block_dilations],
            "upsample_rates": list(config.upsample_rates), "upsample_initial_channel": config.upsample_channels,
            "upsample_kernel_sizes": list(config.upsample_kernels), "n_layers_q": 3, "use_spectral_norm": False,
            "gin_channels": config.speaker_embedding, "semantic_frame_rate": "25hz", "freeze_quantizer": True,
            "version": version,
        },
    }  # fmt: skip
