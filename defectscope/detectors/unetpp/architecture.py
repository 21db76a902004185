"""What a network of ``unetpp`` is built from, as its card says; needs no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from defectscope.detectors.unetpp.options import DECODER_CHANNELS, Encoder

__all__ = ["ENCODER_STRIDE", "Architecture"]

# Of every encoder that there is to choose, px.
ENCODER_STRIDE = 32


class Architecture(BaseModel):
    """Encoder, decoder and number of output masks, and what the network sees of a frame.

    Parameters
    ----------
    encoder
        Name of the encoder in segmentation-models-pytorch.
    masks
        Number of outputs.
    decoder_channels
        Of each level of the decoder, the coarsest first.
    reduce
        The network sees means of so many by so many pixels; its masks are enlarged again.
    tile_px
        Side of the images that it learned from, and so of the tiles that frames are cut into.
    places
        Whether each output has a place on a grid over the tile, and shows the lines whose middles
        are near it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: Encoder = "resnet50"
    masks: int = Field(20, ge=1, le=256)
    decoder_channels: tuple[PositiveInt, ...] = Field(DECODER_CHANNELS, min_length=5, max_length=5)
    reduce: int = Field(1, ge=1, le=8)
    tile_px: int = Field(512, ge=64, le=4096)
    places: bool = False

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return ENCODER_STRIDE * self.reduce
