"""Writes a classification dataset for `filigree train` with numpy and safetensors, nothing else.

The format is described in docs/dataset-format.md. Made with numpy 2 and safetensors 0.8:
    python3 tests/tasks/write_dataset.py tests/tasks/data/python_dataset.safetensors
Sample i has 1 + i % 7 words; its class is "yes" if word 5 is among them.
"""

import json
import sys

import numpy as np
from safetensors.numpy import save_file

CLS, SEP = 2, 3
samples = [[CLS, *(5 + (i * 5 + k * 3) % 11 for k in range(1 + i % 7)), SEP] for i in range(64)]
classes = [int(5 in ids) for ids in samples]

save_file({
    "ids": np.concatenate(samples).astype(np.uint16),                          # (T)
    "offsets": np.cumsum([0] + [len(s) for s in samples]).astype(np.int64),    # (N+1)
    "words": np.concatenate([[-1, *range(len(s) - 2), -1] for s in samples]).astype(np.int32),
    "labels": np.array(classes, np.int32),                                     # (N)
}, sys.argv[1], metadata={
    "format": "filigree-dataset", "format_version": "2", "task": "classification",
    "tokenizer_hash": "numbers-1", "vocabulary": "16", "label_names": json.dumps(["no", "yes"]),
    "max_length": "9", "truncated": "0", "skipped": "0", "source": "write_dataset.py",
})
