# This file was NOT BUILT where it was written, for there was no Docker. Expect to mend something.
#   docker build --build-arg ROS_DISTRO=jazzy -t aceg_ros .
#   docker run --rm -it --net=host -v "$PWD/maps:/maps" aceg_ros \
#       ros2 launch aceg_ros localize.launch.py map:=/maps/kitchen.aceg
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

# Ubuntu 24.04 and later ask for it; pip of 22.04 does not know it, and ignores it.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
SHELL ["/bin/bash", "-c"]
WORKDIR /workspace
COPY . src/aceg_ros

# A robot needs no rviz2. Ubuntu's PyTorch is too old, or missing.
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip \
    && rosdep update \
    && rosdep install -y --from-paths src --ignore-src --skip-keys 'python3-torch rviz2' \
    && rm -rf /var/lib/apt/lists/*
RUN pip3 install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu 'torch>=2.2' \
    && pip3 install --no-cache-dir safetensors poselib rosbags-image \
    && if [ "$ROS_DISTRO" = humble ]; then pip3 install --no-cache-dir \
        'numpy>=1.23,<2' 'transforms3d>=0.4.2'; fi
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --packages-select aceg_ros

RUN echo 'source /workspace/install/setup.bash' >> /root/.bashrc
ENTRYPOINT ["/bin/bash", "-c", "source /opt/ros/$ROS_DISTRO/setup.bash && source install/setup.bash && exec \"$@\"", "--"]
CMD ["bash"]
