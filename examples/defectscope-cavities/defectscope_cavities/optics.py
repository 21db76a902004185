"""Image of a spherical cavity by wave optics: its Fresnel fringes at any defocus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Microscope", "cavity_image"]

ELECTRON_REST_KEV = 510.99895
# h·c, and the fine-structure constant's part in the interaction constant.
HC_KEV_NM = 1.23984198
OVERSAMPLING = 3
# How many Fresnel widths around the cavity are computed: the fringes fade within these.
WIDTHS_AROUND = 4.0


class Microscope(NamedTuple):
    """What forms the image.

    Parameters
    ----------
    voltage_kv
        Acceleration voltage, kV.
    inner_potential_v
        Mean inner potential of the material, V.
    mean_free_path_nm
        After this thickness the intensity has fallen to 1/e by scattering, nm.
    convergence_mrad
        Half angle of the beam, mrad.
    """

    voltage_kv: float = 200.0
    inner_potential_v: float = 21.0
    mean_free_path_nm: float = 120.0
    convergence_mrad: float = 0.1

    @property
    def wavelength_nm(self) -> float:
        """Relativistic wavelength of the electrons, nm."""
        energy = self.voltage_kv
        return HC_KEV_NM / math.sqrt(energy * (energy + 2 * ELECTRON_REST_KEV))

    @property
    def interaction_per_v_nm(self) -> float:
        """Interaction constant C: phase for each volt and nanometre, rad/(V·nm)."""
        energy, rest = self.voltage_kv, ELECTRON_REST_KEV
        relativistic = (energy + rest) / (energy + 2 * rest)
        return 2 * math.pi * relativistic / (self.wavelength_nm * energy * 1e3)


def cavity_image(
    radius_nm: float,
    defocus_nm: float,
    pixel_size_nm: float,
    offset_px: tuple[float, float] = (0.0, 0.0),
    microscope: Microscope | None = None,
) -> NDArray[np.float64]:
    """Return the intensity around a cavity, 1 where it does not reach.

    Parameters
    ----------
    radius_nm
        Radius of the sphere.
    defocus_nm
        Negative under focus, where cavities are bright with a dark fringe.
    pixel_size_nm
        Edge of a pixel.
    offset_px
        (x, y) of the cavity's centre from the centre of the middle pixel.
    microscope
        200 kV, iron by default.

    Returns
    -------
    (n, n) float64
        n is odd.

    Notes
    -----
    The wave behind the foil, relative to that beside the cavity, is exp(t/2L − iCV₀t) with the
    chord t = 2·sqrt(R² − r²) that is missing; it is multiplied by exp(−iπλΔf q²) and by the
    envelope exp(−(πΔf·α·q)²) of a convergent beam in Fourier space.
    """
    optics = microscope or Microscope()
    wavelength = optics.wavelength_nm
    reach_nm = radius_nm + WIDTHS_AROUND * math.sqrt(wavelength * abs(defocus_nm))
    half = math.ceil(reach_nm / pixel_size_nm) + 2
    side, step_nm = 2 * half + 1, pixel_size_nm / OVERSAMPLING
    middle = (side * OVERSAMPLING - 1) / 2
    axis = (np.arange(side * OVERSAMPLING) - middle) * step_nm
    x, y = axis[None] - offset_px[0] * pixel_size_nm, axis[:, None] - offset_px[1] * pixel_size_nm
    chord_nm = 2 * np.sqrt(np.clip(radius_nm**2 - x**2 - y**2, 0, None))
    phase = optics.interaction_per_v_nm * optics.inner_potential_v * chord_nm
    wave = np.exp(chord_nm / (2 * optics.mean_free_path_nm) - 1j * phase)
    q = np.fft.fftfreq(len(axis), step_nm)
    q2 = q[None] ** 2 + q[:, None] ** 2
    damping = (np.pi * defocus_nm * optics.convergence_mrad * 1e-3) ** 2 * q2
    transfer = np.exp(-1j * np.pi * wavelength * defocus_nm * q2 - damping)
    image = np.abs(1 + np.fft.ifft2(np.fft.fft2(wave - 1) * transfer)) ** 2
    # A pixel of the camera sums what falls onto it.
    shape = (side, OVERSAMPLING, side, OVERSAMPLING)
    return np.asarray(image.reshape(shape).mean(axis=(1, 3)), np.float64)
