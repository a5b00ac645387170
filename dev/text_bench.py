"""`python -m dev.text_bench`: how fast each language's text becomes phones, into out/bench/text.json."""

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.paths import REPOSITORY
from dev.terminal import main_of, step
from sovits_core.bench import machine
from sovits_core.text import phonemize

CHARACTERS = 1_000_000
SAMPLES = 5  # of memory, on the way
WORDS_OF_A_SENTENCE, PARTS_OF_A_SENTENCE = 18, 3
ENGLISH = (
    "The committee met on 3 May 2024 to discuss the $3.5 million budget. Dr. Smith, who lives near the river, "
    "said that 12% of the students had already read the book; others live far away. Kubernetes and PostgreSQL "
    "are names that zorbly people invent. She walked quickly through the old market, bought three apples and a "
    "newspaper, and went home before it rained."
)
HAN = (
    "今天的天气非常好我们一起去公园散步吧他在银行工作了三十年退休以后每天早上都打太极拳这个项目的预算增长了百分之"
    "十二老师说学习语言需要长时间的练习我觉得重庆的火锅比成都的更辣孩子们长得很快还要还给图书馆三本书行长走在人行道上"
)
JAPANESE = (
    "今日はとても良い天気ですね公園を散歩しましょう彼は銀行で三十年働きその後毎朝体操をしています東京駅の近くで友達と"
    "一緒に映画を見ました先生は言葉を学ぶには長い練習が必要だと言いました"
)
KOREAN = (
    "오늘은 날씨가 아주 좋습니다 우리는 함께 공원을 산책합시다 그는 은행에서 삼십 년 동안 일했고 매일 아침 운동을 "
    "합니다 선생님은 언어를 배우려면 오랜 연습이 필요하다고 말씀하셨습니다 아이들은 빨리 자랍니다"
)
TEXTS = {"en": ENGLISH, "zh": HAN, "yue": HAN, "ja": JAPANESE, "ko": KOREAN}


def main() -> int:
    """Measure the languages that are asked for, one after another, in this process's one thread."""
    parser = argparse.ArgumentParser(prog="python -m dev.text_bench", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench")
    parser.add_argument("--languages", default=",".join(TEXTS), help="(default: %(default)s)")
    options = parser.parse_args()
    rows = {}
    for language in options.languages.split(","):
        with step(f"{language}: {CHARACTERS:,} characters"):
            rows[language] = measured(language)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "text.json"
    path.write_text(
        json.dumps({"machine": machine.describe(threads=1), "languages": rows}, indent=1) + "\n", encoding="utf-8"
    )
    for language, row in rows.items():
        print(f"{language}: {row['charactersPerSecond']:,} characters/s, {row['mib'][0]} to {row['mib'][-1]} MiB")
    return 0


def measured(language: str) -> dict[str, Any]:
    """Return characters a second of this thread's processor time, and the peak of memory after each fifth, in MiB."""
    phonemize(next(sentences(language)), language)  # the dictionaries are loaded once
    memory: list[int] = []
    done, began = 0, time.thread_time()
    for sentence in sentences(language):
        phonemize(sentence, language)
        done += len(sentence)
        if done >= (len(memory) + 1) * CHARACTERS // SAMPLES:
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    return {"charactersPerSecond": round(done / (time.thread_time() - began)), "mib": memory}


def sentences(language: str) -> Iterator[str]:
    """Yield a million characters of sentences that are all different, put together of parts of one text."""
    chance, text, done = random.Random(1), TEXTS[language], 0  # noqa: S311 -- sentences, not secrets
    words = text.split(" ")
    while done < CHARACTERS:
        if language == "en":
            sentence = " ".join(chance.choices(words, k=WORDS_OF_A_SENTENCE)) + "."
        else:
            starts = [chance.randrange(len(text) - 14) for _ in range(PARTS_OF_A_SENTENCE)]
            sentence = "、".join(text[start : start + chance.randint(5, 14)] for start in starts) + "。"
        done += len(sentence)
        yield sentence


if __name__ == "__main__":
    sys.exit(main_of(main))
