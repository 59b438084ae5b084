"""Where scenes come from; another dataset is another class with the methods of `SceneSource`."""

from aceg_ros.lab.pretraining.sources.sequences import PosedSequences
from aceg_ros.lab.pretraining.sources.worlds import ProceduralWorlds

__all__ = ['PosedSequences', 'ProceduralWorlds']
