"""Mapping as the ACE-G paper does it: a free code, the regressor frozen, reprojection alone."""
