from aceg_ros.threads import wait_idly

# Commands import PyTorch.
wait_idly()
