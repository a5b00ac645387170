"""Stage "encoder": a small HuBERT learns which phone is spoken when, how it sounds and how the pitch moves.

Synthetic speech comes with exact phone times. Recordings have none, so their phones are aligned with the encoder's own
opinion half way through, and join from then on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from sovits_core.features import TRAINING_SCALE, log_mel
from sovits_core.pretrain.data import ENCODER_RATE, Utterance, floats
from sovits_core.pretrain.sizes import HubertSizes
from sovits_core.pretrain.stage import Stage

SILENCE = "SIL"
CLASSES = (
    SILENCE, "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
UNLABELLED = -100
BANDS = 32  # mel bands that the encoder has to tell
PITCH = 2  # voicing, and pitch relative to the clip's own
FRAME = 320  # samples at 16 kHz
FIRST_CENTRE = 200  # the middle of what the first feature hears
BATCH = 6
CROP = 150  # frames, 3 seconds
RATE = 1e-3
ALIGN_FROM = 0.5
FASTEST, SLOWEST = 40, 228  # samples at 16 kHz in one period of a voice: 400 to 70 Hz


def hubert_config(sizes: HubertSizes) -> HubertConfig:
    """The official architecture at other sizes; nothing is masked, since the labels are known."""
    return HubertConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
        conv_dim=(sizes.convolution,) * 7,
        num_conv_pos_embeddings=64,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.05,
        attention_dropout=0.05,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
    )


class Encoder(nn.Module):
    """HuBERT with linear readings of its last layer: phone classes, mel bands, pitch."""

    def __init__(self, sizes: HubertSizes) -> None:
        super().__init__()
        self.hubert = HubertModel(hubert_config(sizes))
        self.read = nn.Linear(sizes.hidden, len(CLASSES) + BANDS + PITCH)

    def forward(self, wav: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """wav: (batch, samples) at 16 kHz -> (batch, frames, classes), (batch, frames, bands), (batch, frames, 2)."""
        hidden = self.hubert(wav).last_hidden_state  # (batch, frames, hidden)
        phones, mel, pitch = self.read(hidden).split([len(CLASSES), BANDS, PITCH], dim=-1)
        return phones, mel, pitch


@dataclass
class Targets:
    """What the encoder should say about one utterance, per frame."""

    phones: Tensor  # int64 [frames], UNLABELLED where nobody knows yet
    mel: Tensor  # float [frames, BANDS], without the clip's own mean
    pitch: Tensor  # float [frames, 2]: voiced (0 or 1), and log pitch relative to the clip's median


def targets_of(utterance: Utterance) -> Targets:
    """Measure the targets of one utterance at the middle of each HuBERT frame."""
    wav = floats(utterance.wav16)
    frames = (len(wav) - 400) // FRAME + 1
    # A window of 640 samples starts 320 before the middle of its frame.
    padded = functional.pad(wav, (320 - FIRST_CENTRE, 640))
    blocks = padded.unfold(0, 640, FRAME)[:frames] * torch.hann_window(640)
    spec = torch.fft.rfft(blocks, 1024).abs().T  # [513, frames]
    mel = log_mel(spec, ENCODER_RATE, BANDS).clamp_min(-9).T
    tune = _pitch(wav, frames)
    phones = torch.full((frames,), UNLABELLED)
    if utterance.clip.segments:
        ends = torch.tensor([end for _, end in utterance.clip.segments])
        names = torch.tensor([CLASSES.index(name) for name, _ in utterance.clip.segments])
        times = (torch.arange(frames) * FRAME + FIRST_CENTRE) / ENCODER_RATE
        phones = names[torch.searchsorted(ends, times).clamp(max=len(names) - 1)]
    return Targets(phones, mel - mel.mean(0), tune)


def _pitch(wav: Tensor, frames: int) -> Tensor:
    """Return (frames, 2): voiced or not, and the log pitch relative to the clip's median, from autocorrelation."""
    padded = functional.pad(wav, (512 - FIRST_CENTRE, 1024))
    blocks = padded.unfold(0, 1024, FRAME)[:frames] * torch.hann_window(1024)
    power = torch.fft.rfft(blocks, 2048).abs().square()
    echoes = torch.fft.irfft(power)[:, : SLOWEST + 1]
    # A window lets late echoes fade; dividing by its own echo undoes that.
    window = torch.fft.irfft(torch.fft.rfft(torch.hann_window(1024), 2048).abs().square())[: SLOWEST + 1]
    strength = echoes / echoes[:, :1].clamp_min(1e-6) / (window / window[0])
    peak, lag = strength[:, FASTEST:].max(1)
    loud = blocks.square().mean(1).sqrt()
    voiced = ((peak > 0.55) & (loud > 0.15 * loud.mean())).float()
    pitch = (ENCODER_RATE / (lag + FASTEST)).log()
    middle = pitch[voiced > 0].median() if bool(voiced.any()) else pitch.median()
    return torch.stack([voiced, (pitch - middle).clamp(-0.7, 0.7) * 4 * voiced], dim=1)


def align(scores: Tensor, phones: tuple[str, ...]) -> Tensor:
    """Return the most likely class per frame, given the phones in order; silence may stand between any two.

    scores: (frames, classes), log probabilities.
    """
    spoken = [CLASSES.index(phone.rstrip("012")) for phone in phones if phone[0].isalpha()]
    states = [0]
    for phone in spoken:
        states += [phone, 0]
    optional = torch.tensor([state == 0 for state in states])
    emissions = scores[:, states]  # (frames, states)
    best = torch.full((len(states),), -torch.inf)
    best[:2] = emissions[0, :2]
    came = []
    for frame in emissions[1:]:
        stay = best
        step = functional.pad(best, (1, 0), value=-torch.inf)[:-1]
        skip = functional.pad(best, (2, 0), value=-torch.inf)[:-2].masked_fill(optional, -torch.inf)
        best, origin = torch.stack([stay, step, skip]).max(0)
        best = best + frame
        came.append(origin)
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    path = [state]
    for origin in reversed(came):
        state -= int(origin[state])
        path.append(state)
    return torch.tensor(states)[torch.tensor(path[::-1])]


def _align_recordings(encoder: Encoder, utterances: list[Utterance], targets: list[Targets]) -> None:
    encoder.eval()
    with torch.no_grad():
        for utterance, target in zip(utterances, targets, strict=True):
            if not utterance.clip.segments:
                scores, _, _ = encoder(floats(utterance.wav16)[None])
                target.phones = align(scores[0].log_softmax(-1), utterance.phones)
    encoder.train()


def train_encoder(stage: Stage, encoder: Encoder, utterances: list[Utterance], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-encoder-{stage.step}")  # noqa: S311 -- crops, not secrets
    long_enough = [utterance for utterance in utterances if len(utterance.wav16) >= (CROP + 2) * FRAME]
    targets = [targets_of(utterance) for utterance in long_enough]
    spread = torch.cat([target.mel for target in targets]).std(0)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    aligned = False
    encoder.train()
    for _ in stage.steps([optimizer]):
        if not aligned and stage.progress > ALIGN_FROM:
            _align_recordings(encoder, long_enough, targets)
            aligned = True
        chosen = rng.choices(range(len(long_enough)), k=BATCH)
        wavs, rows = [], []
        for index in chosen:
            start = rng.randrange(len(targets[index].phones) - CROP)
            piece = floats(long_enough[index].wav16[start * FRAME : (start + CROP) * FRAME + 80])
            # Upstream scales training audio by a thousand and prompts not: learn to hear both alike.
            wavs.append(piece * rng.choice((1.0, TRAINING_SCALE)) + 1e-3 * rng.random() * torch.randn(len(piece)))
            target = targets[index]
            span = slice(start, start + CROP)
            rows.append((target.phones[span], target.mel[span], target.pitch[span]))
        phones, mel, pitch = (torch.stack(column) for column in zip(*rows, strict=True))
        said, heard, tune = encoder(torch.stack(wavs))
        known = phones != UNLABELLED
        which = functional.cross_entropy(said[known], phones[known]) if bool(known.any()) else said.sum() * 0
        sound = functional.mse_loss(heard, mel / spread)
        melody = functional.mse_loss(tune, pitch)
        loss = which + 0.7 * sound + 0.5 * melody
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        right = (said.argmax(-1) == phones)[known].float().mean()
        stage.log(phones=which, right=right, mel=sound, pitch=melody)
    encoder.eval()
