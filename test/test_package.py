"""What the files around the code say of it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    'rosbags': None,  # comes with rosbags-image
    'rosbags-image': None,
    'safetensors': None,
    'scipy': 'python3-scipy',
    'torch': 'python3-torch',
    'tqdm': 'python3-tqdm',
    'transforms3d': 'python3-transforms3d',
}
# What Python code imports that is no part of ROS: modules of the distributions above and of extras.
MODULES = {
    'PIL',
    'aceg_ros',
    'cv2',
    'huggingface_hub',
    'moderngl',
    'matplotlib',
    'numpy',
    'onnxruntime',
    'pillow_heif',
    'poselib',
    'rosbags',
    'safetensors',
    'scipy',
    'torch',
    'tqdm',
    'transformers',
    'transforms3d',
    'yaml',
}
# Classes in rviz's own plugins_description.xml, and what it has built in.
RVIZ_CLASSES = {
    'displays': {
        'rviz_common/Group',
        *(
            f'rviz_default_plugins/{name}'
            for name in (
                'Grid',
                'Image',
                'MarkerArray',
                'Path',
                'PointCloud2',
                'PoseWithCovariance',
                'TF',
            )
        ),
    },
    'tools': {
        f'rviz_default_plugins/{name}'
        for name in ('FocusCamera', 'Interact', 'Measure', 'MoveCamera', 'Select', 'SetInitialPose')
    },
}


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module', params=['aceg', 'aceg_mapping', 'aceg_session'])
def rviz(request: pytest.FixtureRequest) -> dict[str, Any]:
    file = ROOT / 'config' / f'{request.param}.rviz'
    return yaml.safe_load(file.read_text(encoding='utf-8'))


def setup_argument(name: str) -> Any:
    """What setup.py gives for a literal argument."""
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    (value,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == name
    )
    return value


def required_distributions() -> set[str]:
    """Names in setup.py's install_requires."""
    requirements = setup_argument('install_requires')
    return {re.split(r'[^\w.-]', requirement)[0] for requirement in requirements}


def imported_packages(*folders: str) -> set[str]:
    """Top-level packages that are imported somewhere below folders."""
    found = set()
    for folder in folders:
        for file in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition('.')[0])
    return found - set(sys.stdlib_module_names)


def displays(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The displays in a group of rviz's and in the groups in it."""
    for display in group.get('Displays', []):
        yield display
        yield from displays(display)


class TestManifest:
    def test_has_the_version_of_the_code(self, manifest):
        assert manifest.findtext('version') == aceg_ros.__version__

    def test_is_of_the_same_name_as_its_marker(self, manifest):
        assert (ROOT / 'resource' / manifest.findtext('name', '')).is_file()

    def test_depends_on_what_pip_installs(self, manifest):
        keys = {element.text for element in manifest.findall('exec_depend')}
        wanted = {ROSDEP_KEYS[name] for name in required_distributions()} - {None}
        assert wanted == {key for key in keys if key and key.startswith('python3-')}

    def test_is_told_of_what_rosdep_has_no_key_for(self):
        names = {name for name, key in ROSDEP_KEYS.items() if key is None}
        assert names <= required_distributions()
        # It comes with another of them.
        names.remove('rosbags')
        workflow = '.github/workflows/checks.yml'
        for file in ('package.xml', 'README.md', 'docs/ros.md', 'Dockerfile', workflow):
            lines = (ROOT / file).read_text(encoding='utf-8').splitlines()
            told = [
                line.split() for line in lines if re.search(r'pip3? install .*safetensors', line)
            ]
            assert told, file
            assert all(names <= set(words) for words in told), file

    def test_types_of_ros_packages_are_not_asked_for(self):
        config = ConfigParser()
        config.read(ROOT / 'setup.cfg', encoding='utf-8')
        (section,) = (name for name in config.sections() if 'rclpy' in name)
        ignored = set(section.removeprefix('mypy-').replace('.*', '').split(','))
        assert ignored == imported_packages('aceg_ros', 'launch') - MODULES

    def test_depends_on_the_ros_packages_that_are_imported(self, manifest):
        keys = {element.text for element in manifest.findall('exec_depend')}
        of_ros = {key for key in keys if key and not key.startswith('python3-')}
        imported = imported_packages('aceg_ros', 'launch') - MODULES
        # The package tf2_ros has C++ only. Others are not imported but started.
        started = {'ros2bag', 'ros2service', 'rviz2'}
        assert of_ros == imported - {'tf2_ros'} | {'tf2_ros_py'} | started


def test_setup_prints_nothing_of_its_own():
    pytest.importorskip('setuptools')
    # As colcon does, which takes all that is printed for the answer.
    code = (
        'import setuptools; from distutils.core import run_setup; '
        "print(run_setup('setup.py', stop_after='config').get_version())"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == f'{aceg_ros.__version__}\n'


def test_the_panel_is_installed_with_its_page():
    pytest.importorskip('setuptools')
    code = (
        'import setuptools; from distutils.core import run_setup; '
        "setup = run_setup('setup.py', stop_after='config'); "
        "build = setup.get_command_obj('build_py'); build.ensure_finalized(); "
        'print(*(file for *_, files in build.data_files for file in files))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    page = ROOT / 'aceg_ros' / 'ros' / 'panel' / 'page'
    files = {path.name for path in page.iterdir()}
    assert {'index.html', 'panel.css', 'panel.js'} == files
    assert files <= {Path(file).name for file in done.stdout.split()}


def test_the_maintainer_is_named_in_one_place(manifest):
    pytest.importorskip('setuptools')
    code = (
        'import setuptools; from distutils.core import run_setup; '
        "setup = run_setup('setup.py', stop_after='config'); "
        'print(setup.get_author(), setup.get_author_email())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    maintainer = manifest.find('maintainer')
    email = maintainer.get('email')
    assert done.stdout == f'{maintainer.text} {email}\n'
    others = [
        *(ROOT / 'docs').rglob('*.md'),
        *ROOT.glob('*.*'),
        *(ROOT / '.github').rglob('*.yml'),
    ]
    naming = {path.name for path in others if path.is_file() and email in path.read_text('utf-8')}
    assert naming == {'package.xml'}


class TestForContributors:
    def test_the_citation_is_complete(self):
        citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
        assert {'cff-version', 'message', 'title', 'authors'} <= citation.keys()
        assert str(citation['version']) == aceg_ros.__version__
        assert citation['license'] == 'Apache-2.0'
        (method,) = citation['references']
        assert {'type', 'title', 'authors', 'year'} <= method.keys()
        people = [f'{a["given-names"]} {a["family-names"]}' for a in method['authors']]
        assert (people[0], people[-1], len(people)) == ('Leonard Bruns', 'Eric Brachmann', 7)

    @pytest.mark.parametrize('name', ['.pre-commit-config.yaml', '.github/workflows/checks.yml'])
    def test_files_for_services_can_be_loaded(self, name):
        assert yaml.safe_load((ROOT / name).read_text(encoding='utf-8'))

    def test_the_workflow_tests_every_python_and_distribution(self):
        path = ROOT / '.github' / 'workflows' / 'checks.yml'
        jobs = yaml.safe_load(path.read_text(encoding='utf-8'))['jobs']
        pythons = jobs['test']['strategy']['matrix']['python']
        assert pythons == ['3.10', '3.11', '3.12', '3.13']
        assert setup_argument('python_requires') == f'>={pythons[0]}'
        assert jobs['ros']['strategy']['matrix']['distribution'] == [
            'humble',
            'jazzy',
            'kilted',
            'lyrical',
        ]

    def test_the_formatter_has_one_version(self):
        config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text(encoding='utf-8'))
        (ruff,) = (repo for repo in config['repos'] if repo['repo'].endswith('ruff-pre-commit'))
        (asked,) = (r for r in setup_argument('extras_require')['test'] if r.startswith('ruff'))
        least = re.search(r'>=(\d+\.\d+)', asked)[1]
        assert ruff['rev'].removeprefix('v').startswith(f'{least}.')

    def test_commands_of_make_exist(self):
        targets = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text('utf-8'), re.M))
        for name in ('README.md', 'CONTRIBUTING.md', 'docs/tutorial.md'):
            path = ROOT / name
            if path.exists():
                called = re.findall(r'(?:^|`)make (\w+)', path.read_text('utf-8'), re.M)
                assert set(called) <= targets, name

    def test_the_quick_tests_exist(self):
        quick = re.search(
            r'^QUICK := ([^#]*?[^\\])$', (ROOT / 'Makefile').read_text('utf-8'), re.M
        )[1]
        folders = re.findall(r'test/\w+(?= |$)', quick)
        assert len(folders) > 4
        assert [path for path in folders if not (ROOT / path).is_dir()] == []


class TestExecutables:
    def test_scripts_have_the_names_of_the_commands(self):
        commands = setup_argument('entry_points')['console_scripts']
        names = {command.partition(' = ')[0] for command in commands}
        assert names == {path.name for path in (ROOT / 'scripts').iterdir()}

    @pytest.mark.parametrize('installed', [False, True], ids=['without pip', 'with pip'])
    @pytest.mark.parametrize(
        'name', ['aceg', 'aceg_demo', 'aceg_localizer', 'aceg_mapper', 'aceg_panel']
    )
    def test_scripts_find_their_program(self, name, installed, tmp_path):
        script = tmp_path / 'lib' / 'aceg_ros' / name
        script.parent.mkdir(parents=True)
        script.symlink_to(ROOT / 'scripts' / name)
        (tmp_path / 'bin').mkdir()
        program = tmp_path / 'bin' / (name if installed else 'python3')
        program.write_text('#!/bin/sh\necho "$@"\n')
        program.chmod(0o755)
        path = f'{program.parent}{os.pathsep}{os.environ["PATH"]}'
        done = subprocess.run(
            [script, '--option', 'a b'],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {'PATH': path},
        )
        if installed:
            assert done.stdout == '--option a b\n'
        else:
            option, module, *rest = done.stdout.split()
            assert (option, rest) == ('-m', ['--option', 'a', 'b'])
            assert (ROOT / module.replace('.', '/') / '__main__.py').is_file()


@pytest.mark.parametrize('name', ['localize', 'map'])
def test_launch_arguments_that_set_parameters_are_parameters(name):
    text = (ROOT / 'launch' / f'{name}.launch.py').read_text(encoding='utf-8')
    (file,) = re.findall(r"'(\w+\.yaml)'", text)
    config = yaml.safe_load((ROOT / 'config' / file).read_text(encoding='utf-8'))
    known = set(config['/**']['ros__parameters'])
    tables = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
    }
    renamed = tables.pop('PARAMETERS', {})
    # Every argument of a table sets a parameter, mostly of its own name.
    passed = {renamed.get(argument, argument) for table in tables.values() for argument in table}
    assert len(passed) > 4
    implied = set(re.findall(r"parameters\['(\w+)'\] = ", text))
    # Every ROS node has use_sim_time.
    assert passed | implied <= known | {'use_sim_time'}


class TestRviz:
    def test_has_classes_that_rviz_has(self, rviz):
        shown = rviz['Visualization Manager']
        assert {display['Class'] for display in displays(shown)} <= RVIZ_CLASSES['displays']
        assert {tool['Class'] for tool in shown['Tools']} <= RVIZ_CLASSES['tools']

    def test_shows_topics_that_the_nodes_publish(self, rviz):
        shown = displays(rviz['Visualization Manager'])
        topics = [display['Topic'] for display in shown if 'Topic' in display]
        assert topics
        for topic in topics:
            node, _, name = topic['Value'].partition('/')
            outputs = ROOT / 'aceg_ros' / 'ros' / node.removeprefix('aceg_') / 'outputs.py'
            published = re.search(rf"'~/{name}', (\w+)", outputs.read_text(encoding='utf-8'))
            assert published, topic['Value']
            latched = topic['Durability Policy'] == 'Transient Local'
            assert latched is (published[1] == 'LATCHED'), topic['Value']

    def test_is_in_the_frame_of_the_map(self, rviz):
        assert rviz['Visualization Manager']['Global Options']['Fixed Frame'] == 'map'

    def test_leaves_the_view_its_room(self, rviz):
        """The panels Views and Time are wide, and all are as wide as the widest."""
        assert [panel['Name'] for panel in rviz['Panels']] == ['Displays']
        assert any(d['Class'].endswith('/Image') for d in displays(rviz['Visualization Manager']))


def test_rviz_shows_a_localizer_of_another_name():
    """Its launch file renames the topics in the file of rviz."""
    text = (ROOT / 'launch' / 'localize.launch.py').read_text(encoding='utf-8')
    (renamed,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and node.targets[0].id == 'SHOWN'
    )
    config = yaml.safe_load((ROOT / 'config' / 'aceg.rviz').read_text(encoding='utf-8'))
    shown = displays(config['Visualization Manager'])
    topics = {display['Topic']['Value'] for display in shown if 'Topic' in display}
    assert topics == {f'aceg_localizer/{name}' for name in renamed}


def test_rviz_gives_the_initial_pose():
    config = yaml.safe_load((ROOT / 'config' / 'aceg.rviz').read_text(encoding='utf-8'))
    tools = config['Visualization Manager']['Tools']
    (tool,) = (tool for tool in tools if tool['Class'].endswith('/SetInitialPose'))
    assert tool['Topic']['Value'] == 'initialpose'


def test_the_changelog_has_the_version():
    headings = re.findall(r'^## .*$', (ROOT / 'CHANGELOG.md').read_text('utf-8'), re.MULTILINE)
    assert aceg_ros.__version__ in headings[0]


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
