"""The order of layers: a package imports only what stands before it here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / 'aceg_ros'
LAYERS = (
    ('errors', 'files', 'interrupts', 'threads', 'precision', 'memory'),
    ('options', 'monitor', 'models', 'weights', 'learning'),
    ('geometry',),
    ('datasets', 'encoder', 'landmarks', 'pose'),
    ('maps',),
    ('regressor',),
    ('engine',),
    ('readers',),
    ('localization', 'inspection'),
    ('mapping',),
    ('config', 'recording', 'tracking', 'evaluation'),
    ('lab',),
    ('ros',),
    ('demo',),
    ('cli',),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ENTRANCES = ('__init__', '__main__')  # of the package, for users; nothing inside uses them


def imports(path: Path) -> set[str]:
    """Parts of the package that a module imports, wherever in its text it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split('.')[1] for name in names if name.startswith('aceg_ros.')}
    return found


def part_of(path: Path) -> str:
    """The part of the package that a module belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix('.py')


def test_every_part_has_a_layer():
    parts = {part_of(path) for path in ROOT.rglob('*.py')} - set(ENTRANCES)
    assert parts == set(LEVEL)


def test_nothing_is_imported_from_above_or_beside():
    wrong = [
        f'{path.relative_to(ROOT)} imports {other}'
        for path in sorted(ROOT.rglob('*.py'))
        if part_of(path) not in ENTRANCES and path.stem != '__main__'
        for other in sorted(imports(path) - {part_of(path)})
        if LEVEL[other] >= LEVEL[part_of(path)]
    ]
    assert not wrong, '\n'.join(wrong)


def test_only_the_middleware_asks_what_ros_has():
    """What one ROS has and another lacks is met in one place; the rest is the same everywhere."""
    asking = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / 'ros').rglob('*.py'))
        if path.parent.name != 'middleware'
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.ExceptHandler)
        and node.type is not None
        and {'ImportError', 'ModuleNotFoundError'} & set(re.findall(r'\w+', ast.unparse(node.type)))
    ]
    assert not asking


def test_only_ros_and_what_stands_above_it_know_ros():
    names = (
        'rclpy',
        'sensor_msgs',
        'geometry_msgs',
        'std_msgs',
        'nav_msgs',
        'tf2_ros',
        'cv_bridge',
        'tf_transformations',
        'bondpy',
    )
    wrong = []
    for path in sorted(ROOT.rglob('*.py')):
        if part_of(path) in ('ros', 'demo'):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            module = getattr(node, 'module', None) or ''
            if isinstance(node, ast.Import | ast.ImportFrom) and module.split('.')[0] in names:
                wrong.append(f'{path.relative_to(ROOT)} imports {module}')
    assert not wrong, '\n'.join(wrong)
