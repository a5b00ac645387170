"""Stage evaluate: speak held-out clips and free sentences, score them, hold the scores against the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from sovits_core.formats.adapters import load_adapter
from sovits_core.models.networks import Networks
from voice_trainer.evaluation.gates import chosen_gates, decimal, judge
from voice_trainer.evaluation.plots import spectrogram_image
from voice_trainer.evaluation.report import REPORT_HTML, REPORT_JSON, ClipReport, Report, Sample, Score, render_html
from voice_trainer.evaluation.resynthesis import Prediction, Resynthesis, Resynthesiser, choose_prompt, predict
from voice_trainer.evaluation.scores import Estimate, estimate
from voice_trainer.evaluation.synthesis import Prompt, speak_text
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import Summary, now
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings import audio
from voice_trainer.recordings.clips import Clip, read_clips, training_copy
from voice_trainer.recordings.polyphones import load_polyphones
from voice_trainer.stages.train import CURVES, read_curves
from voice_trainer.training.examples import load_features
from voice_trainer.training.networks import Encoders, choose_device, load_encoders, load_networks
from voice_trainer.training.tokens import tokenizer_for

METHOD = (
    "Token-forced resynthesis: each held-out clip is spoken again from its own semantic codes with the timbre of the "
    "prompt clip, aligned by at most 20 ms, and compared with the recording at 16 kHz (PESQ wide band, STOI). Means "
    "with 95 % intervals over clips. This measures the voice's sound, not its choice of words or melody."
)
SPECTROGRAMS = 3  # clips shown as pictures; the others are in the table of players


def evaluate(job: TrainingJob, workspace: Workspace) -> Summary:
    """Write report, samples, prompt and reference; gates that fail are a verdict in the summary, not an error.

    Raises:
        Refused: a gate names a metric that nothing measures.
    """
    base = workspace.base_of_features()
    gates, gates_from = chosen_gates(job.evaluation.gates, base.document.gates)
    prepared, features_folder = workspace.results("prepare"), workspace.results("features")
    trained, folder = workspace.results("train"), workspace.folder("evaluate")
    clips = read_clips(prepared)
    features = {clip.id: load_features(features_folder / f"{clip.id}.safetensors") for clip in clips}
    device = choose_device(job.compute.device)
    networks = load_networks(base, device)
    model = load_adapter(networks, trained).to(device).eval()

    resynthesiser = Resynthesiser(networks, prepared, features, job.training.seed)
    reference = choose_prompt(clips, resynthesiser)
    held_out = [clip for clip in clips if clip.held_out]
    adapted, plain = _resynthesise(model, resynthesiser, held_out, reference, workspace)
    learnt, before = _predict(model, networks, [features[clip.id] for clip in held_out])

    wav = torch.from_numpy(audio.read_flac(training_copy(prepared, reference.id))).to(device)
    encoders, of_reference = load_encoders(base, job.language, device), features[reference.id]
    tokenizer = tokenizer_for(base.document.tokens, networks.s2, encoders.hubert, job.language)
    with torch.no_grad():
        timbre = encoders.timbre(networks.s2, wav)  # as the adapter sees it
    prompt = Prompt(
        codes=tokenizer.prompt(wav, reference.text, reference.phones).values,
        phones=of_reference["phones"],
        bert=of_reference.get("bert"),
        timbre=timbre.float().cpu(),
    )
    prompt.save(folder / "prompt.safetensors")
    audio.write_flac(folder / "reference.flac", wav.cpu().numpy(), base.document.sample_rate)
    texts = job.evaluation.texts or tuple(base.document.sentences.get(job.language, ()))
    samples = _speak(job, workspace, networks, encoders, prompt, texts)
    _write_clip_samples(folder, adapted)

    scores, base_scores = _scores(adapted), _scores(plain)
    verdicts = judge(gates, {name: found.mean for name, found in scores.items()})
    passed = all(verdict.passed for verdict in verdicts)
    report = Report(
        voice=f"{job.voice.namespace}/{job.voice.name}",
        revision=job.revision,
        input_hash=job.input_hash,
        language=job.language,
        base={"name": base.document.name, "digest": base.digest},
        method=METHOD,
        passed=passed,
        gates=[verdict.document() for verdict in verdicts],
        gates_from=gates_from,
        scores=_rendered(scores),
        base_scores=_rendered(base_scores),
        semantic=_semantic(learnt, before),
        clips=[_clip_report(one, other) for one, other in zip(adapted, plain, strict=True)],
        samples=samples,
        prompt={"id": reference.id, "text": reference.text, "seconds": f"{reference.seconds:.2f}"},
        recordings=_plain(workspace, "prepare"),
        training=_plain(workspace, "train"),
        created_at=now(),
    )
    _write_report(folder, report, trained, adapted)
    return {
        "passed": passed,
        "scores": {name: decimal(found.mean) for name, found in scores.items()},
        "intervals": {name: decimal(found.half_width) for name, found in scores.items()},
        "baseScores": {name: decimal(found.mean) for name, found in base_scores.items()},
        "gates": report.gates,
        "gatesFrom": gates_from,
        "clips": len(adapted),
        "prompt": reference.id,
        "device": device.type,
    }


def _resynthesise(
    model: PeftModel, resynthesiser: Resynthesiser, held_out: Sequence[Clip], reference: Clip, workspace: Workspace
) -> tuple[list[Resynthesis], list[Resynthesis]]:
    """Speak every held-out clip with the adapter and without it."""
    progress = workspace.progress("evaluate")
    adapted, plain = [], []
    for number, clip in enumerate(held_out, start=1):
        adapted.append(resynthesiser.speak(clip, reference))
        with model.disable_adapter():
            plain.append(resynthesiser.speak(clip, reference))
        progress.report(number, 2 * len(held_out))  # speaking freely takes about as long again
    return adapted, plain


def _predict(
    model: PeftModel, networks: Networks, features: list[dict[str, torch.Tensor]]
) -> tuple[Prediction, Prediction]:
    with model.disable_adapter():
        before = predict(networks, features)
    return predict(networks, features), before


def _speak(  # noqa: PLR0917 -- one call, each of its own type
    job: TrainingJob,
    workspace: Workspace,
    networks: Networks,
    encoders: Encoders,
    prompt: Prompt,
    texts: Sequence[str],
) -> list[Sample]:
    """Speak the sentences into ``samples/``."""
    document = workspace.base.document
    polyphones = load_polyphones(workspace.base, job.language)
    folder = workspace.folder("evaluate")
    progress = workspace.progress("evaluate")
    samples = []
    for number, text in enumerate(texts, start=1):
        spoken = speak_text(
            networks,
            encoders,
            prompt,
            text,
            job.language,
            table=document.symbols,
            polyphones=polyphones,
            sampling=document.sampling.choice(),
            seed=job.training.seed,
        )
        file = f"samples/sentence-{number}.flac"
        audio.write_flac(folder / file, spoken, document.sample_rate)
        samples.append(Sample(file=file, text=text, seconds=f"{len(spoken) / document.sample_rate:.2f}"))
        progress.report(len(texts) + number, 2 * len(texts), already=len(texts))
    return samples


def _write_clip_samples(folder: Path, resyntheses: Sequence[Resynthesis]) -> None:
    for one in resyntheses:
        audio.write_flac(folder / f"samples/{one.clip.id}.recording.flac", one.recording, audio.ANALYSIS_RATE)
        audio.write_flac(folder / f"samples/{one.clip.id}.resynthesis.flac", one.spoken, audio.ANALYSIS_RATE)


def _scores(resyntheses: Sequence[Resynthesis]) -> dict[str, Estimate]:
    """Return the metrics that at least one clip has."""
    found = {
        "pesq": estimate([one.scores.pesq for one in resyntheses]),
        "stoi": estimate([one.scores.stoi for one in resyntheses]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _rendered(scores: Mapping[str, Estimate]) -> dict[str, Score]:
    return {
        name: Score(mean=decimal(found.mean), interval=decimal(found.half_width), n=found.n)
        for name, found in scores.items()
    }


def _semantic(learnt: Prediction, before: Prediction) -> dict[str, str]:
    return {
        "held-out codes, nats per code": f"{learnt.loss:.3f} (base alone {before.loss:.3f})",
        "held-out codes among the top 3": f"{learnt.top:.1%} (base alone {before.top:.1%})",
    }


def _clip_report(adapted: Resynthesis, plain: Resynthesis) -> ClipReport:
    def shown(score: float | None) -> str:
        return "" if score is None else decimal(score)

    return ClipReport(
        id=adapted.clip.id,
        text=adapted.clip.text,
        pesq=shown(adapted.scores.pesq),
        stoi=shown(adapted.scores.stoi),
        base_pesq=shown(plain.scores.pesq),
        base_stoi=shown(plain.scores.stoi),
    )


def _plain(workspace: Workspace, stage: str) -> dict[str, str]:
    """Return the single values of a stage's summary."""
    manifest = workspace.manifest(stage)
    summary: dict[str, Any] = manifest.summary if manifest else {}
    return {name: str(value) for name, value in summary.items() if isinstance(value, str | int)}


def _write_report(folder: Path, report: Report, trained: Path, adapted: Sequence[Resynthesis]) -> None:
    curves = read_curves(trained / CURVES)
    drawn = {
        "Semantic loss (nats per code)": {"semantic": curves["semantic"]},
        "Synthesis losses": {"mel": curves["mel"], "KL": curves["kl"]},
    }
    images = {
        one.clip.id: {
            "recording": spectrogram_image(one.recording, f"{one.clip.id}, recording"),
            "resynthesis": spectrogram_image(one.spoken, f"{one.clip.id}, resynthesis"),
        }
        for one in adapted[:SPECTROGRAMS]
    }
    (folder / REPORT_JSON).write_text(report.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    (folder / REPORT_HTML).write_text(render_html(report, drawn, images), encoding="utf-8")
