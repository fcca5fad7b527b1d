"""`make bench`: speed and memory as ratios measured side by side in one run; it fails nothing.

Usage:   python -m tests.bench [ROW ...]        (features, train, mvq, store, ...; all by default)
"""

import sys

from tests.bench import (
    attention_speed,
    demo_memory,
    feature_speed,
    mvq_speed,
    nbest_speed,
    quantizer_speed,
    quantizer_training,
    reading_speed,
    scale,
    score_speed,
    sequence_speed,
    store_speed,
    stream_speed,
    train_speed,
    transducer_speed,
)

ROWS = {
    "features": feature_speed.measure,
    "train": train_speed.measure,
    "mvq": mvq_speed.measure,
    "sequences": sequence_speed.measure,
    "attention": attention_speed.measure,
    "store": store_speed.measure,
    "reading": reading_speed.measure,
    "quantizer": quantizer_speed.measure,
    "quantizer-training": quantizer_training.measure,
    "scale": scale.measure,
    "memory": demo_memory.measure,
    "score": score_speed.measure,
    "nbest": nbest_speed.measure,
    "transducer": transducer_speed.measure,
    "stream": stream_speed.measure,
}


def main(names: list[str]) -> None:
    """Measure the rows that are named and print each as it is done."""
    unknown = sorted(set(names) - set(ROWS))
    if unknown:
        sys.exit(f"no such row: {unknown[0]}; there are {', '.join(ROWS)}")
    print(f"{'what':56}{'asrkd':>12}{'beside it':>12}{'ratio':>8}  wanted", flush=True)
    for name in names or ROWS:
        for row in ROWS[name]():
            print(
                f"{row.what:56}{row.ours:>12.4g}{row.theirs:>12.4g}{row.ratio:>8.3f}  {row.wanted}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
