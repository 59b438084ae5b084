"""Camera relocalization by scene coordinate regression with map codes.

Posed images of a place become a map code, a small set of vectors. A network that is the same for
every place reads the code and says where in the place each patch of a new image lies; from these
scene coordinates follows the pose of the camera.
"""

__version__ = '0.1.0'
