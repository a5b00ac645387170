"""S2 of v3 and v4: semantic tokens and phones to features at the mel's rate, and a velocity between mels."""

from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import MelSynthesizerConfig
from sovits_core.models import normed
from sovits_core.models.conditioning import Conditioning
from sovits_core.models.masks import frame_mask
from sovits_core.models.wavenet import WaveNetEncoder
from sovits_core.reference.diffusion_transformer import DiffusionTransformer

BRIDGE_SLOPE = 0.01


class MelSynthesizer(Conditioning):
    """The flow-matching synthesizer; v3 and v4 differ in their mels alone."""

    def __init__(self, config: MelSynthesizerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.bridge = nn.Conv1d(config.hidden, config.features, 1)
        self.feature_wavenet = WaveNetEncoder(
            config.features,
            config.features,
            config.features,
            layers=config.feature_layers,
            kernel=config.wavenet_kernel,
            speaker_embedding=config.speaker_embedding,
        )
        # Neither trained nor used upstream, but every official checkpoint holds it.
        self.unused_mel = nn.Conv1d(config.features, config.mel.bands, 1).requires_grad_(requires_grad=False)
        self.velocity = DiffusionTransformer(config.mel.bands, config.features, config.velocity)

    def features(
        self,
        tokens: Tensor,
        text: Tensor,
        speaker_embedding: Tensor,
        token_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode tokens and phones at the mel's rate; prompt and target are encoded apart, with one speaker embedding.

        Args:
            tokens: int64 (batch, N), 25 per second.
            text: int64 (batch, M), the phones of these tokens alone.
            speaker_embedding: (batch, embedding, 1) from `speaker_embedding`.
            token_lengths: int64 (batch), where rows are padded.
            text_lengths: int64 (batch), where rows are padded.

        Returns:
            (batch, features, frames) and the number of real frames int64 (batch);
            frames = floor(2 N * mel_frames_per_latent).
        """
        inputs = self.content_inputs(tokens, text, speaker_embedding, token_lengths, text_lengths)
        x = functional.leaky_relu(self.bridge(self.content_encoder.encode(*inputs)), BRIDGE_SLOPE)
        # The source of frame i is frame floor(i / rate): the rate as given, not as the rounded sizes make it.
        rate = self.config.mel_frames_per_latent
        x = functional.interpolate(x, scale_factor=rate, mode="nearest")  # (batch, features, frames)
        lengths = (inputs[1].sum(dim=(1, 2)) * rate).floor().long()
        result: Tensor = self.feature_wavenet(x, frame_mask(x, lengths), speaker_embedding)
        return result, lengths

    def fold_weight_norm(self) -> None:
        """Make all weights plain, for inference and export; the outputs stay the same."""
        normed.fold_weight_norm(self)
