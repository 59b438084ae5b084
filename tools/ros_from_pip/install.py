"""Puts ROS 2 into a virtual environment, from wheels; run it with that environment's Python.

The wheels lack tf2_msgs, which is generated here from its one message. A second run finds all in
place and changes nothing. Where there are no wheels or no compiler, it says so and succeeds: what
needs ROS is then skipped, or comes from an installed ROS.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = Path(sys.prefix)
NEEDED = (
    'import rclpy, diagnostic_msgs.msg, nav_msgs.srv, sensor_msgs.msg, std_srvs.srv, '
    'visualization_msgs.msg; from tf2_msgs.msg import TFMessage'
)


def main() -> int:
    """Install what is missing; the exit status is 1 when that cannot be done."""
    if _importable(NEEDED):
        return 0
    if not _have_wheels():
        print(
            'No ROS 2 wheels for this machine; they are for x86-64 Linux and CPython 3.10 to 3.13. '
            'Tests that need ROS will be skipped.'
        )
        return 0
    if sys.prefix == sys.base_prefix:
        return _fail('run this with the Python of a virtual environment, it installs into it')
    missing = [name for name in ('cc', 'c++') if shutil.which(name) is None]
    if missing:
        print(
            f'ROS 2 is not installed: no {" and no ".join(missing)} found, which tf2_msgs is '
            'generated with. Tests that need ROS will be skipped; to run them, install a compiler '
            '(Debian, Ubuntu: apt install g++), remove .venv/.ros-installed and try again.'
        )
        return 0
    try:
        _pip_install('requirements.txt')
        _pip_install('build-requirements.txt')
        _correct_cmake_exports()
        _generate(HERE / 'tf2_msgs')
    except subprocess.CalledProcessError as error:
        return _fail(f'{" ".join(map(str, error.cmd))} failed with status {error.returncode}')
    if not _importable(NEEDED):
        return _fail(f'installed, but `{NEEDED}` fails in {sys.executable}')
    return 0


def _have_wheels() -> bool:
    return (
        sys.platform == 'linux'
        and platform.machine() == 'x86_64'
        and platform.python_implementation() == 'CPython'
        and (3, 10) <= sys.version_info[:2] <= (3, 13)
    )


def _importable(statement: str) -> bool:
    # In a process of its own: the wheels set up the interpreter as it starts.
    result = subprocess.run([sys.executable, '-c', statement], capture_output=True, check=False)
    return result.returncode == 0


def _pip_install(requirements: str) -> None:
    _run([sys.executable, '-m', 'pip', 'install', '--requirement', HERE / requirements])


def _correct_cmake_exports() -> None:
    """Name this environment's header folders, not those of the machine that built the wheels."""
    numpy_headers = subprocess.check_output(
        [sys.executable, '-c', 'import numpy; print(numpy.get_include())'], text=True
    ).strip()
    python_headers = sysconfig.get_path('include')
    for file in (PREFIX / 'share').glob('**/*.cmake'):
        text = file.read_text(encoding='utf-8')
        corrected = re.sub(r'/opt/[^;"]*/numpy/_core/include', numpy_headers, text)
        corrected = re.sub(r'/opt/[^;"]*/include/python3\.\d+', python_headers, corrected)
        if corrected != text:
            file.write_text(corrected, encoding='utf-8')


def _generate(package: Path) -> None:
    """Build an interface package and install it beside the wheels' own, where it is looked for."""
    environment = os.environ | {
        'AMENT_PREFIX_PATH': str(PREFIX),
        'PATH': f'{PREFIX / "bin"}{os.pathsep}{os.environ["PATH"]}',
    }
    cmake = PREFIX / 'bin' / 'cmake'
    options = {
        'BUILD_TESTING': 'OFF',
        'CMAKE_BUILD_TYPE': 'Release',
        'CMAKE_INSTALL_PREFIX': PREFIX,
        'CMAKE_PREFIX_PATH': PREFIX,
        'Python3_EXECUTABLE': sys.executable,
        'Python3_FIND_VIRTUALENV': 'ONLY',
    }
    defines = [f'-D{name}={value}' for name, value in options.items()]
    with tempfile.TemporaryDirectory() as build:
        _run([cmake, '-S', package, '-B', build, '-G', 'Ninja', *defines], environment)
        _run([cmake, '--build', build], environment)
        _run([cmake, '--install', build], environment)


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, check=True)


def _fail(message: str) -> int:
    print(f'ROS 2 is not installed: {message}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main())
