"""The numbers that a simulated app gives to what is new; the model takes them. Pure."""

from dataclasses import dataclass


@dataclass
class Ids:
    """The next numbers. They go on over a reset and, begun from the clock, over a restart too: what an allocation
    service remembers of earlier services (their ids rise) stays true."""

    room: int
    service: int
    comment: int
    agent: int = 150851
    row: int = 91250

    @classmethod
    def begun_at(cls, wall: float) -> "Ids":
        """Eight ids a second since 2024 keep service ids below 2**31 until 2032."""
        late = int((wall - 1_704_067_200) * 8)
        return cls(room=57_500_000 + late, service=32_054_304 + late, comment=int(wall * 1000))

    def take(self, name: str) -> int:
        value: int = getattr(self, name)
        setattr(self, name, value + 1)
        return value
