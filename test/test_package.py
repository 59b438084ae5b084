"""What the files around the code say of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import aceg_ros

ROOT = Path(__file__).resolve().parents[1]

# How ROS calls the distributions that setup.py asks for; None where rosdep has no key.
ROSDEP_KEYS = {
    'matplotlib': 'python3-matplotlib',
    'numpy': 'python3-numpy',
    'opencv-python-headless': 'python3-opencv',
    'pillow': 'python3-pil',
    'poselib': None,
    'pyyaml': 'python3-yaml',
    'safetensors': None,
    'scipy': 'python3-scipy',
    'torch': 'python3-torch',
    'tqdm': 'python3-tqdm',
}


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def required_distributions() -> set[str]:
    """Names in setup.py's install_requires."""
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    (requirements,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == 'install_requires'
    )
    return {re.split(r'[^\w.-]', requirement)[0] for requirement in requirements}


class TestManifest:
    def test_has_the_version_of_the_code(self, manifest):
        assert manifest.findtext('version') == aceg_ros.__version__

    def test_is_of_the_same_name_as_its_marker(self, manifest):
        assert (ROOT / 'resource' / manifest.findtext('name', '')).is_file()

    def test_depends_on_what_pip_installs(self, manifest):
        keys = {element.text for element in manifest.findall('exec_depend')}
        wanted = {ROSDEP_KEYS[name] for name in required_distributions()} - {None}
        assert wanted == {key for key in keys if key and key.startswith('python3-')}


def test_the_changelog_has_the_version():
    headings = re.findall(r'^## .*$', (ROOT / 'CHANGELOG.md').read_text('utf-8'), re.MULTILINE)
    assert aceg_ros.__version__ in headings[0]


@pytest.mark.parametrize(
    'document',
    [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))],
    ids=lambda path: path.name,
)
def test_documents_link_to_files_that_exist(document):
    links = re.findall(r'\]\(([^)#\s]+)', document.read_text(encoding='utf-8'))
    local = [link for link in links if '://' not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_names_the_readme_imports_exist():
    (example,) = re.findall(
        r'```python\n(.*?)```', (ROOT / 'README.md').read_text('utf-8'), re.DOTALL
    )
    compile(example, 'README.md', 'exec')
    imports = [line for line in example.splitlines() if line.startswith('from ')]
    exec('\n'.join(imports), {})


@pytest.mark.parametrize('command', [['--help'], ['map', '--help']])
def test_the_module_is_a_command(command):
    done = subprocess.run(
        [sys.executable, '-m', 'aceg_ros', *command], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert 'usage' in done.stdout.lower()
