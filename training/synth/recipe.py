"""Owns what a recipe is: how often what happens to a sample, and which families of operations can be left out."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace

from training.errors import TrainingError

# What a recipe can do without, for an ablation; each draws from a generator of its own, so that the other families do
# the same things to a sample whether it is on or off.
FAMILIES = {
    "turns": "notes lie at any angle",
    "perspective": "shear, another aspect, a view from the side",
    "strays": "notes cut by the frame, nearer than it is wide, or far away; for the place output",
    "folds": "bent, folded over, dog-eared; parts of photographs of notes shown for notes",
    "crumples": "crumpled paper, torn corners",
    "wear": "faded, dirty, stained, creased, written on, taped",
    "covers": "hands, fingers and things over the picture",
    "shadows": "the note's own shadow, shadows with an edge, light from one side",
    "glare": "lamps mirrored as spots and streaks, plastic sleeves",
    "light": "coloured light",
    "exposure": "exposure, gamma, contrast, saturation",
    "blur": "out of focus, moved",
    "sharpening": "sharpened by the phone",
    "noise": "noise of the sensor",
    "jpeg": "JPEG",
    "strangers": "other money, flat things and unreadable notes pasted like a note, as background",
    "recoloured": "notes in a colour that no note of the currency has, as background",
    "remixed": "other money in other colours, mirrored or with its parts in another order, as background",
    "near": "cut out about the note, from a picture twice as fine: the device's near look",
    "cameras": "colours of other cameras; what is no note in the colours of notes' pictures",
}


@dataclass(frozen=True)
class Recipe:
    """How often what happens; shares are of all samples."""

    none_share: float = 0.38
    several_share: float = 0.07
    recoloured_share: float = 0.02  # these come out of none_share
    stray_share: float = 0.3  # of notes whose place is known
    near_share: float = 0.33
    exact_weight: float = 0.35  # of choosing a cut-out source against the photographs in the hand
    scale_low: float = 0.42  # longest side of the patch over the side of the frame
    scale_high: float = 1.55
    strength: float = 1.0  # how often, against full, something happens to paper, light and lens
    off: frozenset[str] = field(default_factory=frozenset)  # names in FAMILIES

    def __post_init__(self) -> None:
        for name in sorted(self.off - FAMILIES.keys()):
            near = difflib.get_close_matches(name, FAMILIES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FAMILIES)}"
            raise TrainingError(f"the synthesiser has no operations called {name}: {hint}")

    def without(self, *families: str) -> Recipe:
        """The same recipe with these families of operations switched off. Raises TrainingError for an unknown name."""
        return replace(self, off=self.off | frozenset(families))


GENTLE = Recipe(
    none_share=0.3, several_share=0.0, recoloured_share=0.0, scale_low=0.8, scale_high=1.1, strength=0.2
).without("turns", "covers", "folds", "crumples", "strays", "glare", "near", "cameras")
