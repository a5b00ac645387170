"""Attribution of a base made of official files: their origin, and what its voices are tried on."""
# ruff: noqa: RUF001 -- Chinese and Japanese end their sentences with marks of their own

from sovits_core.official.versions import Version

REPOSITORY = "https://huggingface.co/lj1995/GPT-SoVITS"

WEIGHTS = {
    "name": "Weights of GPT-SoVITS",
    "licence": "MIT",
    "source": REPOSITORY,
    "attribution": "GPT-SoVITS by RVC-Boss and contributors, copyright 2024 RVC-Boss, MIT License.",
}
HUBERT = {
    "name": "Speech encoder (chinese-hubert-base)",
    "licence": "MIT",
    "source": "https://huggingface.co/TencentGameMate/chinese-hubert-base",
    "attribution": "TencentGameMate, chinese_speech_pretrain.",
}
BERT = {
    "name": "Text encoder (chinese-roberta-wwm-ext-large)",
    "licence": "Apache-2.0",
    "source": "https://huggingface.co/hfl/chinese-roberta-wwm-ext-large",
    "attribution": "HFL (Joint Laboratory of HIT and iFLYTEK Research): Cui et al., Whole Word Masking "
    "for Chinese BERT.",
}
G2PW = {
    "name": "Reader of Mandarin polyphones (g2pW)",
    "licence": "Apache-2.0",
    "source": "https://github.com/GitYCC/g2pW",
    "attribution": "Chen et al., g2pW: A Conditional Weighted Softmax BERT for Polyphone Disambiguation in Mandarin; "
    "as distributed by PaddleSpeech.",
}
SPEAKER = {
    "name": "Speaker encoder (ERes2NetV2)",
    "licence": "Apache-2.0",
    "source": "https://github.com/modelscope/3D-Speaker",
    "attribution": "Alibaba 3D-Speaker: Chen et al., ERes2NetV2.",
}
BIGVGAN = {
    "name": "Vocoder (bigvgan_v2_24khz_100band_256x)",
    "licence": "MIT",
    "source": "https://huggingface.co/nvidia/bigvgan_v2_24khz_100band_256x",
    "attribution": "NVIDIA: Lee et al., BigVGAN.",
}

SENTENCES = {
    "zh": (
        "早上好，谢谢你来听我说话。",
        "昨天下午我们在河边走了很久。",
        "请问去火车站应该坐几路公共汽车？",
        "天气渐渐凉了，记得多穿一件衣服。",
    ),
    "en": (
        "Good morning, and thank you for listening.",
        "The quick brown fox jumps over the lazy dog.",
        "How many voices can you hear in this room?",
        "Nothing was said for a long time, and then everybody laughed.",
    ),
    "ja": (
        "おはようございます。今日はいい天気ですね。",
        "駅の前で友達と待ち合わせをしました。",
        "この道をまっすぐ行くと、右側に図書館があります。",
        "明日の朝は何時に起きますか？",
    ),
    "ko": (
        "안녕하세요, 들어 주셔서 감사합니다.",
        "어제는 친구와 함께 강가를 오래 걸었어요.",
        "기차역으로 가려면 몇 번 버스를 타야 하나요?",
        "날씨가 점점 추워지니 따뜻하게 입으세요.",
    ),
    "yue": (
        "早晨，多謝你嚟聽我講嘢。",
        "琴日下晝我哋喺河邊行咗好耐。",
        "請問去火車站要搭幾號巴士？",
        "天氣開始涼，記得着多件衫。",
    ),
}
"""PhonemeSegment when a voice is evaluated and names no texts of its own."""


def languages(version: Version) -> tuple[str, ...]:
    """Languages of a version."""
    return ("zh", "en", "ja") if version == "v1" else ("zh", "en", "ja", "ko", "yue")
