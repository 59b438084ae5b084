"""Pre-training of the regressor on many scenes, by mapping and query iterations in turn."""
