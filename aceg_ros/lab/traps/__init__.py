"""Images that should fool a localizer, and how often they do; `aceg traps` runs them."""
