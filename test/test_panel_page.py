"""The panel's page in a browser, where there is one: what it shows, and what its buttons do."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import browser as browsers
import cv2
import numpy as np
import pytest
from browser import Browser
from processes import wait_until

from aceg_ros.ros.panel import server as module
from aceg_ros.ros.panel.server import Feed, Server
from aceg_ros.ros.panel.topview import Scene, drawing, ground_below

PAGE = Path(module.__file__).parent / 'page'
PICTURE = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
FIT = {
    'state': 'running',
    'stage': 'encode',
    'fraction': 0.25,
    'remaining_s': 12.0,
    'detail': '',
    'message': 'encode 25 %',
    'keyframes': 20,
    'left_out': 1,
    'seconds': 31.0,
    'map_bytes': 760_000,
    'map': '/maps/kitchen.aceg',
    'quality': 'fair',
    'advice': 'record more views around the door',
    'notes': 'poses were adjusted by 2 cm',
}
STATE = {
    'camera': {'number': 1, 'words': ''},
    'mapper': {
        'there': True,
        'state': 'idle',
        'words': '2 keyframes in /tmp/recording',
        'keyframes': 2,
        'fit': None,
        'map': '/maps/kitchen.aceg',
    },
    'localizer': {
        'there': True,
        'state': 'localized',
        'words': 'fine',
        'map': {'file': '/maps/kitchen.aceg', 'quality': 'fair', 'keyframes': '20'},
        'values': {'confidence': 0.87, 'inliers': 420},
        'pose': {
            'position': [1.5, 2.0, 0.25],
            'sigma': 0.012,
            'sigma_deg': 0.2,
            'drawn': [0.5, 0.5, 1.0, 0.0],
        },
    },
    'scene': {'number': 1},
}


class Content:
    """A recording of two keyframes, an image, and nodes that say yes to all but saving."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        cameras = np.tile(np.eye(4), (2, 1, 1))
        cameras[1, :3, 3] = 1.0, 2.0, 0.0
        scene = Scene(cameras, np.eye(3) * 0.5, np.zeros((3, 3), np.uint8))
        drawn = drawing(scene, ground_below(cameras)) | {'number': 1, 'of': 'recording'}
        self._scene = json.dumps(drawn).encode()

    def image(self) -> bytes | None:
        return PICTURE

    def scene(self) -> bytes:
        return self._scene

    def act(self, action: str, texts: Mapping[str, str]) -> tuple[bool, str]:
        self.asked.append((action, texts))
        return action != 'save', f'answer to {action}'


class Shown:
    """The page, and the nodes behind it as far as it sees them."""

    def __init__(self, profile: Path) -> None:
        self.content, self.feed = Content(), Feed()
        self._server = Server('127.0.0.1', 0, self.content, self.feed)
        self.browser = Browser(profile)
        self.browser.resize(1280, 900)
        self.browser.open(f'http://127.0.0.1:{self._server.port}/')
        wait_until(lambda: self.feed.viewers > 0, what='the page to look on')
        self._number = 0

    def tell(self, **parts: Mapping[str, Any]) -> None:
        """Change the state, and wait until the page shows it."""
        state = copy.deepcopy(STATE)
        for name, values in parts.items():
            state[name] |= values
        self._number += 1
        state['told'] = self._number
        self.feed.publish(json.dumps(state))
        self.browser.wait_for(f'state !== null && state.told === {self._number}')

    def text(self, name: str) -> str:
        """Text of an element."""
        return self.browser.value(f"document.getElementById('{name}').innerText")

    def usable(self, action: str) -> bool:
        """Whether a button can be used."""
        button = f"document.querySelector('[data-do={action}]')"
        return self.browser.value(f"{button}.getAttribute('aria-disabled')") == 'false'

    def close(self) -> None:
        self.browser.close()
        self._server.close()


@pytest.fixture(scope='module')
def shown(tmp_path_factory) -> Iterator[Shown]:
    if not browsers.PROGRAM:
        pytest.skip('no Chromium is installed (apt-get install chromium)')
    page = Shown(tmp_path_factory.mktemp('browser'))
    yield page
    page.close()


@pytest.fixture(autouse=True)
def no_complaints(request) -> Iterator[None]:
    """The browser has nothing to complain of, such as an error or a blocked resource."""
    yield
    if 'shown' in request.fixturenames and browsers.PROGRAM:
        assert request.getfixturevalue('shown').browser.complaints == []


def test_shows_state_image_and_scene(shown):
    shown.tell()
    assert shown.text('connection') == 'connected'
    assert shown.text('mapper-state') == 'idle'
    assert shown.text('mapper-words') == STATE['mapper']['words']
    assert shown.text('confidence-words') == '87 %, 420 inliers'
    assert '1.50, 2.00, 0.25 m' in shown.text('position')
    assert 'quality fair' in shown.text('map-words')
    shown.browser.wait_for("document.getElementById('image').naturalWidth === 64")
    shown.browser.wait_for(
        "document.getElementById('scene-words').innerText.includes('2 keyframes')"
    )
    colored = (
        "document.getElementById('view').getContext('2d')"
        '.getImageData(0, 0, 5000, 5000).data.some((value) => value > 0)'
    )
    assert shown.browser.value(colored)


def test_shows_how_a_fit_goes_and_what_it_made(shown):
    shown.tell(mapper={'state': 'fitting', 'fit': FIT})
    assert shown.browser.value("document.getElementById('bar').value") == 0.25
    assert 'encode' in shown.text('bar-words')
    assert [shown.usable(each) for each in ('record', 'cancel')] == [False, True]
    shown.tell(mapper={'fit': FIT | {'state': 'done'}})
    assert shown.text('quality') == 'Quality: fair.'
    assert 'saved as /maps/kitchen.aceg' in shown.text('result-words')
    assert shown.text('advice') == 'Advice: record more views around the door'
    assert shown.text('notes') == 'poses were adjusted by 2 cm'
    shown.tell(mapper={'fit': FIT | {'state': 'failed', 'detail': 'no memory'}})
    assert (shown.text('quality'), shown.text('advice')) == ('Fit failed.', 'no memory')


def test_buttons_are_for_what_can_be_done(shown):
    shown.tell()
    assert shown.usable('record')
    assert not shown.usable('stop_and_map')
    shown.tell(mapper={'state': 'recording'})
    assert not shown.usable('record')
    assert shown.usable('stop_and_map')
    missing = {'there': False, 'state': '', 'words': '/aceg_mapper is not running; start it: ...'}
    shown.tell(mapper=missing)
    assert shown.text('mapper-words') == missing['words']
    assert shown.text('mapper-state') == 'not running'
    assert not shown.usable('stop_and_map')
    assert shown.usable('relocalize')


def test_can_be_used_without_a_mouse(shown):
    shown.tell()
    shown.content.asked.clear()
    shown.browser.value('document.activeElement.blur()')
    focused = 'document.activeElement.dataset.do || document.activeElement.id'
    reached = []
    while (now := shown.browser.value(focused)) != 'record' and len(reached) < 30:
        reached.append(now)
        shown.browser.press('Tab')
    shown.browser.press('Enter')
    answer = "document.querySelector('.answer[data-of=mapper]').innerText"
    shown.browser.wait_for(f"{answer} === 'Record: answer to record'")
    assert shown.content.asked == [('record', {})]
    # Focus stays where it was.
    assert shown.browser.value(focused) == 'record'
    # What cannot be done now does nothing.
    shown.tell(mapper={'state': 'recording'})
    shown.browser.press('Enter')
    shown.tell(mapper={'state': 'recording'})
    assert shown.content.asked == [('record', {})]


def test_a_refusal_and_a_path_are_passed_on(shown):
    shown.tell()
    shown.content.asked.clear()
    assert shown.browser.value("document.getElementById('map-url').value") == '/maps/kitchen.aceg'
    shown.browser.value("document.getElementById('map-url').value = '/maps/hall.aceg'")
    shown.tell()
    for action in ('load_map', 'save'):
        shown.browser.value(f"document.querySelector('[data-do={action}]').click()")
    answer = "document.querySelector('.answer.refused')?.textContent"
    shown.browser.wait_for(f"{answer} === 'Save map: answer to save'")
    assert ('load_map', {'map_url': '/maps/hall.aceg'}) in shown.content.asked


def test_what_nodes_say_is_text(shown):
    words = '<img src=x onerror="document.title=1"> & <b>'
    shown.tell(mapper={'words': words}, camera={'number': 1, 'words': words})
    assert shown.text('mapper-words') == words
    assert shown.browser.value('document.title') != '1'


def test_fits_a_phone_and_follows_the_preferred_colors(shown):
    shown.tell(mapper={'words': '2 keyframes in /a/very/long/path' + '/of/a/recording' * 9})
    backs = []
    for dark in (False, True):
        shown.browser.resize(360, 740, dark)
        assert shown.browser.value('document.documentElement.scrollWidth') <= 360
        backs.append(shown.browser.value('getComputedStyle(document.body).backgroundColor'))
    assert backs[0] != backs[1]
    named = 'input, canvas, img, button, meter, progress'
    nameless = (
        f"[...document.querySelectorAll('{named}')].filter((each) => !(each.labels?.length || "
        "each.getAttribute('aria-label') || each.alt || each.innerText || each.textContent)).length"
    )
    assert shown.browser.value(nameless) == 0
    shown.browser.resize(1280, 900)


def luminance(color: str) -> float:
    """Relative luminance, as WCAG 2 has it."""
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize('scheme', [0, 1], ids=['light', 'dark'])
@pytest.mark.parametrize(
    ('front', 'back'),
    [
        *((name, 'card') for name in ('text', 'soft', 'main', 'good', 'fair', 'poor')),
        *((name, 'back') for name in ('text', 'soft', 'poor')),
        ('on-main', 'main'),
        ('text', 'ground'),
    ],
)
def test_texts_can_be_told_from_their_ground(scheme, front, back):
    css = (PAGE / 'panel.css').read_text(encoding='utf-8')
    blocks = re.findall(r':root \{(.*?)\}', css, re.S)
    colors = dict(re.findall(r'--([\w-]+): (#\w{6});', blocks[scheme]))
    light, dark = sorted((luminance(colors[front]), luminance(colors[back])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
